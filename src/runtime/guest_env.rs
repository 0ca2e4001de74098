//! The environment of a guest, whose values may be secrets.

use std::fmt;
use std::sync::Arc;

/// Names and values, all that a guest sees of any environment. Cheap to clone. Its `Debug` output
/// shows no value, so that whatever prints a grant or a guest prints no secret.
#[derive(Clone, Default)]
pub struct GuestEnv(Arc<[(String, String)]>);

impl GuestEnv {
    /// What the guest gets to see.
    pub(super) fn reveal(&self) -> Arc<[(String, String)]> {
        self.0.clone()
    }
}

impl From<Vec<(String, String)>> for GuestEnv {
    fn from(variables: Vec<(String, String)>) -> Self {
        Self(variables.into())
    }
}

impl fmt::Debug for GuestEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| (name, format_args!("…")));
        f.debug_map().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Grant;

    #[test]
    fn a_grant_shows_names_and_no_value() {
        let env = vec![("TOKEN".to_owned(), "hunter2".to_owned())];
        let grant = Grant::new("s", "v", 0, Duration::ZERO, Duration::ZERO).with_env(env);
        let shown = format!("{grant:?} {grant:#?}");
        assert!(shown.contains("{\"TOKEN\": …}"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
