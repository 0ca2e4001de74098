//! By what a client may listen to a stream, which goes on for longer than that may hold.

use axum::http::HeaderMap;
use tokio::time::sleep;

use super::RIGHTS;
use crate::admin::Admin;
use crate::admin::guard::bearer;
use crate::admin::session::SessionSecret;
use crate::admin::token::TokenFile;

/// By what a client may listen.
pub enum Right {
    /// No token is wanted.
    Everybodys,
    Session(TokenFile, SessionSecret),
    Token(TokenFile, String),
}

impl Right {
    /// The right of a request that was let through.
    pub fn of(admin: &Admin, session: Option<SessionSecret>, headers: &HeaderMap) -> Self {
        match (&admin.token, session) {
            (None, _) => Self::Everybodys,
            (Some(tokens), Some(session)) => Self::Session(tokens.clone(), session),
            (Some(tokens), None) => {
                Self::Token(tokens.clone(), bearer(headers).unwrap_or_default())
            }
        }
    }

    /// Waits until the session has ended, or the token has left its file.
    pub async fn ended(&self) {
        while self.holds() {
            sleep(RIGHTS).await;
        }
    }

    fn holds(&self) -> bool {
        match self {
            Self::Everybodys => true,
            Self::Session(tokens, session) => tokens.of_session(session).is_some(),
            Self::Token(tokens, token) => tokens.knows(token),
        }
    }
}
