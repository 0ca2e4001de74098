//! Tells a process of an edit.

use std::thread;
use std::time::{Duration, Instant};

use super::{Process, ProcessError};
use crate::api::{self, Attribution, ReloadDocument};
use crate::code::{Coded, ErrorCode};

/// How long a process that ends may take to be replaced by the one that takes the edit.
const REPLACED: Duration = Duration::from_secs(5);
/// How often it is asked meanwhile.
const LOOK: Duration = Duration::from_millis(50);

impl Process {
    /// Has the process read a file that a command has edited. Where it is being replaced, the next one does.
    ///
    /// # Errors
    ///
    /// As those of [`Process::post`].
    pub fn reload(&self, edit: &Attribution) -> Result<ReloadDocument, ProcessError> {
        let began = Instant::now();
        loop {
            match self.post(api::RELOAD, edit) {
                Err(error) if error.code() == ErrorCode::Draining && began.elapsed() < REPLACED => {
                    thread::sleep(LOOK);
                }
                answer => return answer.map(|(_, document)| document),
            }
        }
    }
}
