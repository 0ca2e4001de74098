//! Sessions of browsers: a person gives a token once, and a cookie stands for it from then on.
//!
//! A session is known by 256 random bits that only the browser has; here is their digest. It ends with its token, after
//! twelve hours, or with the process.

pub mod attempts;

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

use crate::secret::SecretDigest;

/// The cookie.
pub const COOKIE: &str = "watershed-session";

/// How long a session lasts, used or not.
pub const LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// Sessions at once. Where there would be more, the oldest of the same token ends or, if it has none, the oldest of all:
/// whoever logs in again and again ends no session of others.
const MOST: usize = 1_000;

/// Bytes of randomness.
const RANDOM: usize = 32;

/// What tells a CSRF token from every other digest of a session's secret.
const CSRF: &str = "watershed: against forged requests";

/// What a browser has of its session.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(String);

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(…)")
    }
}

impl SessionSecret {
    /// Of a cookie's value, if it can be one.
    pub fn of_cookie(value: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let can_be = value.len() == 2 * RANDOM && value.bytes().all(is_hex);
        can_be.then(|| Self(value.to_owned()))
    }

    /// A new one. Fails where the operating system has no randomness: nothing less will do.
    fn random() -> Result<Self, rand::rngs::SysError> {
        let mut bytes = [0; RANDOM];
        SysRng.try_fill_bytes(&mut bytes)?;
        Ok(Self(hex(&bytes)))
    }

    pub fn cookie(&self) -> &str {
        &self.0
    }

    /// What pages of the console send with each change. It follows from the secret, so nobody has to keep it, and a
    /// page of another origin can read neither.
    pub fn csrf(&self) -> String {
        hex(&Sha256::digest(format!("{CSRF}\n{}", self.0)))
    }

    /// Whether a request has this session's CSRF token.
    pub fn has_csrf(&self, sent: &str) -> bool {
        SecretDigest::of(self.csrf()).is(sent)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// The sessions that there are, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<Mutex<VecDeque<Session>>>);

#[derive(Debug)]
struct Session {
    secret: SecretDigest,
    token: SecretDigest,
    began: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= LASTS
    }
}

impl Sessions {
    /// Begins a session of a token.
    ///
    /// # Errors
    ///
    /// Where the operating system has no randomness.
    pub fn begin(
        &self,
        token: SecretDigest,
        now: Instant,
    ) -> Result<SessionSecret, rand::rngs::SysError> {
        let secret = SessionSecret::random()?;
        let mut sessions = self.all();
        sessions.retain(|session| !session.is_over(now));
        while sessions.len() >= MOST {
            let own = sessions.iter().position(|session| session.token == token);
            sessions.remove(own.unwrap_or_default());
        }
        sessions.push_back(Session {
            secret: SecretDigest::of(secret.cookie()),
            token,
            began: now,
        });
        Ok(secret)
    }

    /// The token that a session stands for; `None` where there is no such session.
    pub fn token(&self, secret: &SessionSecret, now: Instant) -> Option<SecretDigest> {
        let secret = SecretDigest::of(secret.cookie());
        let sessions = self.all();
        let found = sessions.iter().find(|session| session.secret == secret);
        found.filter(|session| !session.is_over(now)).map(|session| session.token.clone())
    }

    /// Ends a session, if there is one.
    pub fn end(&self, secret: &SessionSecret) {
        let secret = SecretDigest::of(secret.cookie());
        self.all().retain(|session| session.secret != secret);
    }

    /// Ends the sessions of tokens that there are no more.
    pub fn keep(&self, is_known: impl Fn(&SecretDigest) -> bool) {
        self.all().retain(|session| is_known(&session.token));
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> SecretDigest {
        SecretDigest::of("s3cret")
    }

    #[test]
    fn a_session_stands_for_its_token_until_it_ends() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let [first, second] = [(); 2].map(|()| sessions.begin(token(), now).unwrap());
        assert!(first != second && first.csrf() != second.csrf());
        assert_eq!(sessions.token(&first, now), Some(token()));
        let shortly_before = now + LASTS - Duration::from_millis(1);
        assert_eq!(sessions.token(&first, shortly_before), Some(token()));
        assert_eq!(sessions.token(&first, now + LASTS), None);
        sessions.end(&first);
        assert_eq!(sessions.token(&first, now), None);
        assert_eq!(sessions.token(&second, now), Some(token()));
        sessions.keep(|known| *known != token());
        assert_eq!(sessions.token(&second, now), None);
    }

    #[test]
    fn there_are_a_thousand_at_most() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let began: Vec<_> = (0..=MOST).map(|_| sessions.begin(token(), now).unwrap()).collect();
        assert_eq!(sessions.all().len(), MOST);
        assert_eq!(sessions.token(&began[0], now), None);
        assert!(began[1..].iter().all(|session| sessions.token(session, now).is_some()));
        // Those that are over make room first.
        sessions.begin(token(), now + LASTS).unwrap();
        assert_eq!(sessions.all().len(), 1);
    }

    /// A viewer who logs in again and again.
    #[test]
    fn logins_with_one_token_end_no_session_of_another() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let operator = sessions.begin(token(), now).unwrap();
        let viewer = || sessions.begin(SecretDigest::of("see"), now).unwrap();
        let first = viewer();
        (0..MOST).for_each(|_| _ = viewer());
        assert_eq!(sessions.all().len(), MOST);
        assert_eq!(sessions.token(&first, now), None);
        assert_eq!(sessions.token(&operator, now), Some(token()));
    }

    #[test]
    fn a_csrf_token_is_that_of_its_session() {
        let session = SessionSecret::of_cookie(&"0a".repeat(RANDOM)).unwrap();
        let csrf = session.csrf();
        assert!(session.has_csrf(&csrf) && csrf.len() == 64 && csrf != session.cookie());
        for wrong in ["", session.cookie(), &csrf[1..], &csrf.to_uppercase()] {
            assert!(!session.has_csrf(wrong), "{wrong}");
        }
        for no_cookie in ["", "x", &"0A".repeat(RANDOM), &"0a".repeat(RANDOM + 1)] {
            assert!(SessionSecret::of_cookie(no_cookie).is_none(), "{no_cookie}");
        }
    }
}
