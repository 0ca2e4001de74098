//! Edits that commands tell a process of that was replaced: its successor serves them, and names their authors.

use std::future::pending;

use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::history::Attribution;
use crate::restart::{Successor, ToSuccessor};

/// How many are kept for the case that the successor fails.
const KEPT: usize = 100;

/// The edits that this process was told of since it was replaced, and those of which nothing had come by then.
#[derive(Debug)]
pub(super) struct Edits {
    waiting: UnboundedReceiver<Attribution>,
    passed: Vec<Attribution>,
}

impl Edits {
    pub fn new(waiting: UnboundedReceiver<Attribution>) -> Self {
        Self { waiting, passed: Vec::new() }
    }

    /// The next one. Cancel-safe.
    pub async fn next(&mut self) -> Attribution {
        match self.waiting.recv().await {
            Some(edit) => edit,
            None => pending().await,
        }
    }

    /// Tells the successor of one.
    pub fn pass(&mut self, edit: Attribution, successor: &Successor) {
        let told = serde_json::to_value(&edit).map_err(std::io::Error::from);
        let told = told.and_then(|by| successor.tell(&ToSuccessor::Edit { by }, None));
        if let Err(error) = told {
            tracing::debug!("the new process does not hear who has edited a file: {error}");
        }
        if self.passed.len() < KEPT {
            self.passed.push(edit);
        }
    }

    /// All of them, for whoever goes on in the successor's place.
    pub fn into_all(mut self) -> Vec<Attribution> {
        let rest = std::iter::from_fn(|| self.waiting.try_recv().ok());
        self.passed.into_iter().chain(rest).collect()
    }
}

/// What a predecessor has said of an edit; `None` of one of another release, which is not understood.
pub(super) fn heard(by: Value) -> Option<Attribution> {
    serde_json::from_value(by)
        .inspect_err(|error| tracing::debug!("an edit's author is not understood: {error}"))
        .ok()
}
