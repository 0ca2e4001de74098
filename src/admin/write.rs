//! The paths that change a service: each does what a command does, inside the process. `act` and
//! `deploy` say what each kind of request does, `inside` reads and writes for it, and `error` is why
//! something is not done. `operations` is for what takes longer than a request, and `uploads` keeps
//! components until they are deployed.
//!
//! A change may wait for a disk and for other changes, so it runs on a thread that may wait, a few at a
//! time. It goes on where its client has left, because half of a change would be worse.

mod act;
mod deploy;
mod error;
mod inside;
mod operations;
mod place;
mod uploads;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Json, Response};
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Admin;
use super::body::Expected;
use super::error::AdminError;
use super::routes::no_parameters;
use act::{Act, Answer};
pub use error::WriteError;
use inside::Inside;
use operations::Operations;
pub use operations::{deploy, list, show};
use place::Place;
use uploads::Uploads;
pub use uploads::upload;

/// Changes that are made at once.
const AT_ONCE: usize = 8;

/// How long a change waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest request, in bytes: the variables of a version are in it.
const LONGEST: usize = 256 << 10;

/// What changes of the process share.
#[derive(Clone, Debug)]
pub struct Writes {
    turns: Arc<Semaphore>,
    operations: Operations,
    uploads: Uploads,
}

impl Writes {
    /// Those of a process with this state directory.
    pub fn new(state: &Path) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            operations: Operations::default(),
            uploads: Uploads::new(state),
        }
    }

    /// Removes uploads that nobody has deployed for an hour. Waits for the disk.
    pub fn tidy(&self) {
        self.uploads.tidy();
    }

    /// The right to make one change.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, AdminError> {
        match timeout(PATIENCE, self.turns.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(AdminError::Busy),
        }
    }
}

/// Answers a request to change a service.
pub async fn change<A: Act + DeserializeOwned>(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let place = Place::of(&request)?;
    let asked: A = asked(request).await?;
    carry_out(admin, place, asked).await
}

/// What a request asks for.
async fn asked<A: Act + DeserializeOwned>(request: Request) -> Result<A, AdminError> {
    let expected = expected(A::HELP);
    let asked = expected.read(request).await?;
    asked.ok_or_else(|| expected.malformed("it is empty"))
}

/// Does what is asked for, and answers once it is done.
async fn carry_out<A: Act>(
    admin: Arc<Admin>,
    place: Place,
    asked: A,
) -> Result<Response, AdminError> {
    let turn = admin.writes.turn().await?;
    let runtime = Handle::current();
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut inside = Inside::find(admin, runtime, place, &asked.how())?;
        let done = asked.act(&mut inside);
        done.map_err(|error| error.at(&inside))
    });
    match made.await {
        Ok(Ok(Answer::Done(document))) => Ok(Json(document).into_response()),
        Ok(Ok(Answer::Would(document))) => Ok(Json(document).into_response()),
        Ok(Err(error)) => Err(error.into()),
        Err(failed) => Err(AdminError::Internal(failed.to_string())),
    }
}

fn expected(help: &'static str) -> Expected {
    let too_long = "shorten what it says".to_owned();
    Expected { longest: LONGEST, too_long, help }
}
