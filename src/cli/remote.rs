//! A process that is asked by its address alone, from wherever that is reached: no file of this machine is read.

use super::process::{Process, ProcessError};
use crate::api::{ExplainQuery, Explanation};

/// The process at `--admin`, and the environment of `--environment`.
pub(super) struct Remote {
    pub process: Process,
    pub environment: Option<String>,
}

impl Remote {
    /// What the process would do with a request.
    ///
    /// # Errors
    ///
    /// Where it does not answer, or does not serve the service.
    pub fn explain(&self, service: &str, query: ExplainQuery) -> Result<Explanation, ProcessError> {
        let (environment, service) = (self.environment.clone(), Some(service.to_owned()));
        self.process.get(&ExplainQuery { environment, service, ..query }.path())
    }
}
