//! Who asks, and what they may do: `guard` finds out, and gives it to handlers.

use std::sync::Arc;

use axum::http::Method;

use super::error::AdminError;
use crate::api::{self, Role};

/// What viewers may send although its method is not one of reading: it changes nothing, or their own session.
const HARMLESS: [&str; 2] = [api::CHECK, api::SESSION];

/// Whoever has sent a request. A handler takes it as an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub role: Role,
    /// The name beside the token in the file.
    pub name: Option<Arc<str>>,
}

impl Access {
    /// Of everybody, where no token is wanted.
    pub fn of_everybody() -> Self {
        Self { role: Role::Operator, name: None }
    }

    /// Whether a request may be sent to a path.
    ///
    /// # Errors
    ///
    /// Where only operators may.
    pub fn to(&self, method: &Method, path: &str) -> Result<(), AdminError> {
        let is_harmless = method.is_safe() || HARMLESS.contains(&path);
        if is_harmless { Ok(()) } else { self.of_operator() }
    }

    /// Fails for everybody but operators. For what depends on more than the method and the path: texts of
    /// environment variables may be secrets, and viewers get digests of them.
    ///
    /// # Errors
    ///
    /// Where a viewer asks.
    pub fn of_operator(&self) -> Result<(), AdminError> {
        match self.role {
            Role::Operator => Ok(()),
            Role::Viewer => Err(AdminError::Viewer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_looks_and_an_operator_acts() {
        let viewer = Access { role: Role::Viewer, name: None };
        for (method, path, may) in [
            (Method::GET, api::STATUS, true),
            (Method::HEAD, api::CONFIG, true),
            (Method::OPTIONS, api::RELOAD, true),
            (Method::POST, api::CHECK, true),
            (Method::DELETE, api::SESSION, true),
            (Method::POST, api::RELOAD, false),
            (Method::DELETE, api::STATUS, false),
            (Method::POST, "/api/v1/services/prod/shop-1/traffic", false),
            (Method::PATCH, "/anything", false),
        ] {
            assert_eq!(viewer.to(&method, path).is_ok(), may, "{method} {path}");
            assert!(Access::of_everybody().to(&method, path).is_ok(), "{method} {path}");
        }
    }
}
