//! What the process knows of a service under a change: its records, and who may need a component.

use std::path::Path;
use std::time::Instant;

use super::Inside;
use crate::admin::error::AdminError;
use crate::admin::write::error::WriteError;
use crate::admin::{history, status};
use crate::api::{HistoryDocument, HistoryQuery, ServiceDocument};
use crate::config::ServiceName;
use crate::delivery::Inventory;
use crate::source::ComponentStore;
use crate::versions::ServiceKey;

impl Inside {
    /// The newest records of the service of this name in an environment; none where there are none.
    ///
    /// # Errors
    ///
    /// Where the history cannot be read.
    pub(super) fn records(
        &self,
        environment: &str,
        limit: usize,
        texts: bool,
    ) -> Result<HistoryDocument, WriteError> {
        let query = HistoryQuery {
            environment: Some(environment.to_owned()),
            service: Some(self.service().to_string()),
            limit: Some(limit),
            texts,
            ..HistoryQuery::default()
        };
        let history = self.admin.reloads.history().map_err(AdminError::NoHistory)?;
        match history::document(&history, &query, &[]) {
            Err(AdminError::UnknownService { .. }) => Ok(HistoryDocument::default()),
            document => Ok(document?),
        }
    }
}

impl Inventory for Inside {
    fn store(&self) -> &ComponentStore {
        &self.store
    }

    fn service(&self) -> &ServiceName {
        &self.view.service.name
    }

    fn main(&self) -> &Path {
        &self.admin.config
    }

    fn everywhere(&self) -> Result<Vec<ServiceDocument>, String> {
        let (snapshot, rejected) = (self.admin.live.load(), self.admin.reloads.rejected());
        let entries = snapshot.environments.iter().filter_map(|environment| {
            let environment = environment.name.clone();
            snapshot.get(&ServiceKey { environment, service: self.service().clone() })
        });
        let document =
            |entry| status::service_document(entry, &rejected, &self.admin.urls, Instant::now());
        Ok(entries.map(|entry| document(entry)).collect())
    }

    fn records_in(&self, environment: &str) -> Result<HistoryDocument, String> {
        let records = self.records(environment, HistoryQuery::LIMIT_MAX, false);
        records.map_err(|error| error.to_string())
    }
}
