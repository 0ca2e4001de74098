//! Tickets by which clients resume their sessions. A ticket is the session's state, encrypted by us and kept by the
//! client ([RFC 8446, section 4.6.1](https://www.rfc-editor.org/rfc/rfc8446#section-4.6.1)).

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{self, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::server::ProducesTickets;

/// The length of a ticket key, before it is written in base64.
pub const TICKET_KEY: usize = 32;
/// The most keys that a file may have. Each costs time when a ticket of somebody else's is looked at.
const KEYS_MAX: usize = 16;
/// For how many seconds a ticket is good, as with keys that rustls makes.
const LIFETIME: u32 = 12 * 60 * 60;
/// How many seconds the clocks of two replicas may be apart.
const SKEW: u64 = 5 * 60;

const NAME: usize = 16;
const SALT: usize = 16;
const TIME: usize = 8;

/// Makes tickets: with the keys of a file where there is one, and with keys of its own otherwise. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tickets(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: ArcSwapOption<TicketKeys>,
    own: Arc<dyn ProducesTickets>,
}

/// Keys of a file. The first one encrypts, and all decrypt, so that keys can be rotated in files of several replicas one
/// after the other.
pub struct TicketKeys(Vec<TicketKey>);

struct TicketKey {
    /// Names the key in its tickets, and tells nothing about it.
    name: [u8; NAME],
    secret: Prk,
}

/// A file has no usable ticket keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketKeysError {
    #[error("it is empty; make a key with `openssl rand -base64 {TICKET_KEY}`")]
    Empty,
    #[error(
        "it has neither lines of {TICKET_KEY} bytes in base64, nor a multiple of {TICKET_KEY} bytes; make a key with \
         `openssl rand -base64 {TICKET_KEY}`"
    )]
    Length,
    #[error("it has more than {KEYS_MAX} keys; two are enough to rotate them")]
    TooMany,
    #[error("it has the same key twice")]
    Twice,
}

impl Tickets {
    /// Tickets with keys of its own, which change every six hours.
    ///
    /// # Errors
    ///
    /// Where the system has no random numbers.
    pub fn new() -> Result<Self, rustls::Error> {
        let own = rustls::crypto::ring::Ticketer::new()?;
        Ok(Self(Arc::new(Inner { file: ArcSwapOption::empty(), own })))
    }

    /// Has the keys of a file used from now on, or none. Sessions that began with other keys begin anew.
    pub fn replace(&self, keys: Option<TicketKeys>) {
        self.0.file.store(keys.map(Arc::new));
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        match &*self.0.file.load() {
            Some(keys) => keys.0.first()?.encrypt(plain, now()?),
            None => self.0.own.encrypt(plain),
        }
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        match &*self.0.file.load() {
            Some(keys) => keys.decrypt(ticket, now()?),
            None => self.0.own.decrypt(ticket),
        }
    }
}

impl TicketKeys {
    /// The keys in a file: one in base64 a line, or the bytes of one after the other.
    ///
    /// # Errors
    ///
    /// Where the file has anything else.
    pub fn parse(file: &[u8]) -> Result<Self, TicketKeysError> {
        let keys = if is_text(file) { lines(file) } else { raw(file) };
        let keys = keys.ok_or(TicketKeysError::Length)?;
        match keys.len() {
            0 => return Err(TicketKeysError::Empty),
            1..=KEYS_MAX => {}
            _ => return Err(TicketKeysError::TooMany),
        }
        let keys: Vec<_> = keys.iter().map(TicketKey::new).collect();
        let is_twice = |(at, key): (usize, &TicketKey)| {
            keys.iter().take(at).any(|earlier| earlier.name == key.name)
        };
        match keys.iter().enumerate().any(is_twice) {
            true => Err(TicketKeysError::Twice),
            false => Ok(Self(keys)),
        }
    }

    fn decrypt(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let name = ticket.get(..NAME)?;
        self.0.iter().find(|key| key.name == name)?.decrypt(ticket, now)
    }
}

/// Whether all bytes may be of base64. Of keys that are bytes, hardly ever all are.
fn is_text(file: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    file.iter().all(|byte| is_base64(byte) || byte.is_ascii_whitespace())
}

fn lines(file: &[u8]) -> Option<Vec<[u8; TICKET_KEY]>> {
    let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect()
}

fn raw(file: &[u8]) -> Option<Vec<[u8; TICKET_KEY]>> {
    let (keys, rest) = file.as_chunks::<TICKET_KEY>();
    rest.is_empty().then(|| keys.to_vec())
}

impl TicketKey {
    fn new(key: &[u8; TICKET_KEY]) -> Self {
        let secret = Salt::new(HKDF_SHA256, b"watershed session tickets").extract(key);
        let mut name = [0; NAME];
        // Fails only for lengths beyond what HKDF can make.
        let named = secret.expand(&[b"name"], Length(NAME)).and_then(|it| it.fill(&mut name));
        debug_assert!(named.is_ok());
        Self { name, secret }
    }

    /// The key of one ticket. Each has its own, so that no nonce is ever used twice, whoever shares the file.
    fn of_ticket(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let info = [b"ticket".as_slice(), salt];
        let key = self.secret.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(aead::UnboundKey::from(key)))
    }

    /// The ticket: name, salt and time, which are authenticated, and then what is encrypted, with its tag.
    fn encrypt(&self, plain: &[u8], now: u64) -> Option<Vec<u8>> {
        let mut salt = [0; SALT];
        SystemRandom::new().fill(&mut salt).ok()?;
        let key = self.of_ticket(&salt)?;
        let mut ticket = [self.name.as_slice(), &salt, &now.to_be_bytes()].concat();
        let aad = Aad::from(ticket.clone());
        let mut sealed = plain.to_vec();
        key.seal_in_place_append_tag(nonce(), aad, &mut sealed).ok()?;
        ticket.append(&mut sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (head, sealed) = ticket.split_at_checked(NAME + SALT + TIME)?;
        let (_, fields) = head.split_at_checked(NAME)?;
        let (salt, time) = fields.split_at_checked(SALT)?;
        let made = u64::from_be_bytes(time.try_into().ok()?);
        if made > now.saturating_add(SKEW) || now > made.saturating_add(u64::from(LIFETIME)) {
            return None;
        }
        let mut sealed = sealed.to_vec();
        let plain = self.of_ticket(salt)?.open_in_place(nonce(), Aad::from(head), &mut sealed);
        let length = plain.ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

/// The first and only nonce of a ticket's key.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn now() -> Option<u64> {
    // A clock before 1970 makes no tickets, and sessions begin anew.
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// A length as ring takes it.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Never shows a key.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("keys", &self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(keys: &[[u8; TICKET_KEY]]) -> Vec<u8> {
        keys.iter().map(|key| STANDARD.encode(key) + "\n").collect::<String>().into_bytes()
    }

    fn keys(keys: &[[u8; TICKET_KEY]]) -> TicketKeys {
        TicketKeys::parse(&encoded(keys)).unwrap()
    }

    #[test]
    fn a_file_has_keys_in_base64_or_raw() {
        let (a, b) = ([1; TICKET_KEY], [2; TICKET_KEY]);
        let names = |file: &[u8]| {
            let keys = TicketKeys::parse(file)?;
            Ok::<_, TicketKeysError>(keys.0.iter().map(|key| key.name).collect::<Vec<_>>())
        };
        let expected = names(&encoded(&[a, b])).unwrap();
        assert_eq!(expected.len(), 2);
        assert_eq!(names(&[a, b].concat()).unwrap(), expected);
        let spaced = [b"\r\n ".as_slice(), &encoded(&[a]), b"\n\n", &encoded(&[b])].concat();
        assert_eq!(names(&spaced).unwrap(), expected);
        let many: Vec<_> = (0..17).map(|byte| [byte; TICKET_KEY]).collect();
        for (file, error) in [
            (b"".as_slice(), TicketKeysError::Empty),
            (b"\n\n", TicketKeysError::Empty),
            (b"not a key\n", TicketKeysError::Length),
            (&a[1..], TicketKeysError::Length),
            (STANDARD.encode([0; 48]).as_bytes(), TicketKeysError::Length),
            (&encoded(&[a, a]), TicketKeysError::Twice),
            (&encoded(&many), TicketKeysError::TooMany),
        ] {
            assert_eq!(names(file).unwrap_err(), error, "{file:?}");
        }
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let (old, new) = ([1; TICKET_KEY], [2; TICKET_KEY]);
        let tickets = Tickets::new().unwrap();
        let own = tickets.encrypt(b"session").unwrap();
        assert_eq!(tickets.decrypt(&own).unwrap(), b"session");
        tickets.replace(Some(keys(&[old])));
        assert_eq!(tickets.decrypt(&own), None);
        let first = tickets.encrypt(b"session").unwrap();
        assert_ne!(first, tickets.encrypt(b"session").unwrap());
        // Another process with the same file, in the middle of a rotation.
        let other = Tickets::new().unwrap();
        other.replace(Some(keys(&[new, old])));
        assert_eq!(other.decrypt(&first).unwrap(), b"session");
        let second = other.encrypt(b"").unwrap();
        assert_eq!(tickets.decrypt(&second), None);
        tickets.replace(Some(keys(&[old, new])));
        assert_eq!(tickets.decrypt(&second).unwrap(), b"");
    }

    #[test]
    fn whatever_was_changed_or_is_too_old_is_refused() {
        let keys = keys(&[[7; TICKET_KEY]]);
        let made = 1_000_000;
        let ticket = keys.0[0].encrypt(b"session", made).unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(keys.decrypt(&changed, made), None, "{at}");
            assert_eq!(keys.decrypt(&ticket[..at], made), None, "{at}");
        }
        let lifetime = u64::from(LIFETIME);
        for (now, is_good) in [
            (made, true),
            (made + lifetime, true),
            (made + lifetime + 1, false),
            (made - SKEW, true),
            (made - SKEW - 1, false),
        ] {
            assert_eq!(keys.decrypt(&ticket, now).is_some(), is_good, "{now}");
        }
    }
}
