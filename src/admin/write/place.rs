//! Which service a request is about, and whose request it is.

use axum::extract::Request;

use crate::admin::access::Access;
use crate::admin::error::AdminError;
use crate::api;

/// The user of a request without a token of its own.
const NOBODY: &str = "console";

/// Which service a request is about, and whose request it is.
#[derive(Clone, Debug)]
pub struct Place {
    pub environment: String,
    pub service: String,
    pub user: String,
}

impl Place {
    /// What a path such as `/api/v1/services/prod/shop/traffic` names. Names are DNS labels, so nothing in
    /// them is encoded.
    ///
    /// # Errors
    ///
    /// Where the path names no service.
    pub fn of(request: &Request) -> Result<Self, AdminError> {
        let path = request.uri().path();
        let names = path.strip_prefix(api::SERVICES).and_then(|rest| rest.strip_prefix('/'));
        let names = names.unwrap_or_default();
        match names.split('/').collect::<Vec<_>>().as_slice() {
            [environment, service, _] => Ok(Self {
                environment: (*environment).to_owned(),
                service: (*service).to_owned(),
                user: user(request),
            }),
            _ => Err(AdminError::UnknownPath(path.chars().take(100).collect())),
        }
    }
}

/// Whose request it is, for the history.
fn user(request: &Request) -> String {
    let access = request.extensions().get::<Access>();
    let name = access.and_then(|access| access.name.as_deref());
    name.unwrap_or(NOBODY).to_owned()
}
