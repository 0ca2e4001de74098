//! What takes longer than a request, and how far it is. The last operations are remembered for as long as
//! the process runs; what they have done is in the history.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::act::{Act as _, Answer};
use super::deploy::Order;
use super::error::WriteError;
use super::inside::Inside;
use super::place::Place;
use super::{asked, carry_out};
use crate::admin::Admin;
use crate::admin::error::AdminError;
use crate::admin::routes::no_parameters;
use crate::api::{
    self, BegunDocument, DeployRequest, OperationDocument, OperationState, OperationStep,
    OperationsDocument, moment,
};
use crate::history::now;

/// Operations that are remembered.
const KEPT: usize = 100;

/// Operations at once: each holds a thread.
const AT_ONCE: usize = 16;

/// The operations of a process.
#[derive(Clone, Debug)]
pub struct Operations {
    turns: Arc<Semaphore>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// How many there were.
    count: u64,
    /// The newest first.
    list: VecDeque<Operation>,
}

/// An operation, which several may look at.
#[derive(Clone, Debug)]
pub struct Operation(Arc<Mutex<OperationDocument>>);

impl Default for Operations {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), known: Arc::default() }
    }
}

impl Operations {
    /// The right to begin one; `None` where as many are under way as may be.
    fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().try_acquire_owned().ok()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, place: &Place, version: String) -> Operation {
        let mut known = self.known();
        known.count += 1;
        let began = now();
        let Place { environment, service, user } = place.clone();
        let operation = Operation(Arc::new(Mutex::new(OperationDocument {
            // No other process on this machine has begun an operation at the same moment.
            id: format!("{began:x}-{:x}-{:x}", std::process::id(), known.count),
            state: OperationState::Running,
            step: OperationStep::Checking,
            environment,
            service,
            version,
            user,
            began,
            ended: None,
            result: None,
            error: None,
        })));
        known.list.push_front(operation.clone());
        if known.list.len() > KEPT
            && let Some(oldest) = known.list.iter().rposition(Operation::is_over)
        {
            known.list.remove(oldest);
        }
        operation
    }
}

impl Operation {
    fn document(&self) -> MutexGuard<'_, OperationDocument> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.document().state != OperationState::Running
    }

    /// Says how far it is.
    pub fn reach(&self, step: OperationStep) {
        self.document().step = step;
    }

    fn end(&self, came: Result<Answer, WriteError>) {
        let mut document = self.document();
        document.ended = Some(moment::text(now()));
        match came {
            Ok(answer) => {
                document.state = OperationState::Done;
                document.step = OperationStep::Done;
                document.result = answer.done();
            }
            Err(error) => {
                document.state = OperationState::Failed;
                document.error = Some(error.failed());
            }
        }
    }
}

/// Deploys a version: answers with an operation once the service is found.
pub async fn deploy(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let place = Place::of(&request)?;
    let asked: DeployRequest = asked(request).await?;
    if asked.dry_run {
        return carry_out(admin, place, asked).await;
    }
    let Order { name, .. } = Order::of(asked.clone())?;
    let turn = admin.writes.operations.turn().ok_or(AdminError::Busy)?;
    let runtime = Handle::current();
    let find = {
        let (admin, place, how) = (admin.clone(), place.clone(), api::ChangeRequest::how(&asked));
        move || Inside::find(admin, runtime, place, &how)
    };
    let found = tokio::task::spawn_blocking(find).await;
    let inside = found.map_err(|failed| AdminError::Internal(failed.to_string()))??;
    let operation = admin.writes.operations.begin(&place, name.to_string());
    let id = operation.document().id.clone();
    tokio::spawn(run(inside, asked, operation, turn));
    let begun = BegunDocument { operation: id };
    Ok((StatusCode::ACCEPTED, Json(begun)).into_response())
}

/// Carries an operation to its end, whoever looks.
async fn run(
    mut inside: Inside,
    asked: DeployRequest,
    operation: Operation,
    _turn: OwnedSemaphorePermit,
) {
    inside.tell_of(operation.clone());
    let act = move || asked.act(&mut inside).map_err(|error| error.at(&inside));
    let came = tokio::task::spawn_blocking(act).await;
    operation.end(match came {
        Ok(came) => came,
        Err(failed) => Err(AdminError::Internal(failed.to_string()).into()),
    });
}

/// The operations, the newest first.
pub async fn list(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Json<OperationsDocument>, AdminError> {
    no_parameters(query)?;
    let known: Vec<_> = admin.writes.operations.known().list.iter().cloned().collect();
    let operations = known.iter().map(|operation| operation.document().clone()).collect();
    Ok(Json(OperationsDocument { operations }))
}

/// One operation.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<OperationDocument>, AdminError> {
    no_parameters(query)?;
    let id = request.uri().path().rsplit('/').next().unwrap_or_default();
    let known: Vec<_> = admin.writes.operations.known().list.iter().cloned().collect();
    let found = known.iter().map(|operation| operation.document().clone()).find(|it| it.id == id);
    let unknown = || AdminError::UnknownOperation(id.chars().take(100).collect());
    found.map(Json).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_over_is_forgotten_and_none_that_runs() {
        let operations = Operations::default();
        let place = Place { environment: "e".into(), service: "s".into(), user: "u".into() };
        let first = operations.begin(&place, "v0".to_owned());
        for number in 1..=KEPT {
            let operation = operations.begin(&place, format!("v{number}"));
            operation.end(Err(AdminError::Busy.into()));
        }
        // The first one runs, so the second one went.
        let known: Vec<_> = operations.known().list.iter().cloned().collect();
        assert_eq!(known.len(), KEPT);
        let [oldest, first] = [known.last().unwrap(), &first].map(|it| it.document().id.clone());
        assert_eq!(oldest, first);
        assert!(known.iter().all(|operation| operation.document().version != "v1"));
    }
}
