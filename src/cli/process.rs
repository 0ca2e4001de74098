//! A running process, asked at its admin listener. Commands that look at one use it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::admin::{Token, TokenError};
use crate::config::AdminSettings;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of the longest answer: thousands of services.
const LONGEST: u64 = 64 << 20;

/// Where a process is asked, and what opens it.
#[derive(Debug)]
pub struct Process {
    url: String,
    token_file: Option<PathBuf>,
    agent: ureq::Agent,
}

/// Why a process does not say what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error(
        "`listen` under [admin] has port 0, another one at every start: give `--admin URL` as the \
         process printed it, or compare with files by `--from PATH`"
    )]
    NoPort,
    #[error(
        "{0} is not the address of an admin listener: it looks like http://127.0.0.1:9090, and is \
         never https"
    )]
    NotAUrl(String),
    #[error(
        "no process answers at {url}: {reason}; start it with `watershed run`, give `--admin URL` \
         if it listens elsewhere, or compare with files by `--from PATH`"
    )]
    Unreachable { url: String, reason: Box<ureq::Error> },
    #[error("{url} wants a token: set `token-file` under [admin] to the file that it is in")]
    TokenWanted { url: String },
    #[error("{url} does not take the token in {}: the process was started with another", .file.display())]
    TokenRefused { url: String, file: PathBuf },
    #[error(
        "{url} answers {answer}: is that the admin listener of a watershed as new as this one?"
    )]
    Stranger { url: String, answer: String },
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Process {
    /// The process at `url`, or else where `settings` say that it listens.
    ///
    /// # Errors
    ///
    /// Where neither tells an address.
    pub fn new(url: Option<&str>, settings: &AdminSettings) -> Result<Self, ProcessError> {
        let url = match url {
            Some(url) => checked(url)?,
            None => format!("http://{}", local(settings.listen)?),
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            // The token is for the process and for nobody on the way to it.
            .proxy(None)
            .build()
            .new_agent();
        Ok(Self { url, token_file: settings.token_file.clone(), agent })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it says at a path.
    ///
    /// # Errors
    ///
    /// Where it cannot be reached, wants another token or says something else.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ProcessError> {
        let url = format!("{}{path}", self.url);
        let unreachable = |reason: ureq::Error| ProcessError::Unreachable {
            url: self.url.clone(),
            reason: Box::new(reason),
        };
        let mut request = self.agent.get(&url);
        if let Some(file) = &self.token_file {
            request = request.header("authorization", format!("Bearer {}", Token::text(file)?));
        }
        let mut response = request.call().map_err(unreachable)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(self.refused(url, status));
        }
        let body = response.body_mut().with_config().limit(LONGEST).read_to_vec();
        serde_json::from_slice(&body.map_err(unreachable)?)
            .map_err(|error| ProcessError::Stranger { url, answer: error.to_string() })
    }

    fn refused(&self, url: String, status: u16) -> ProcessError {
        match (status, &self.token_file) {
            (401, Some(file)) => ProcessError::TokenRefused { url, file: file.clone() },
            (401, None) => ProcessError::TokenWanted { url },
            _ => ProcessError::Stranger { url, answer: format!("with status {status}") },
        }
    }
}

/// A URL as people write it: with a `/` at its end, or without its scheme.
fn checked(url: &str) -> Result<String, ProcessError> {
    let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let is_authority = authority.parse::<http::uri::Authority>().is_ok();
    match is_authority && !authority.contains('@') {
        true => Ok(format!("http://{authority}")),
        false => Err(ProcessError::NotAUrl(url.to_owned())),
    }
}

/// Where a listener on this machine is reached.
fn local(listen: SocketAddr) -> Result<SocketAddr, ProcessError> {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    match listen.port() {
        0 => Err(ProcessError::NoPort),
        port => Ok(SocketAddr::new(ip, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_as_people_write_it() {
        for url in ["http://127.0.0.1:9090", "http://127.0.0.1:9090/", "127.0.0.1:9090"] {
            assert_eq!(checked(url).unwrap(), "http://127.0.0.1:9090");
        }
        assert_eq!(checked("[::1]:9090").unwrap(), "http://[::1]:9090");
        for url in ["https://127.0.0.1:9090", "", "http://", "a b", "localhost:1/api", "u@h:1"] {
            assert!(matches!(checked(url), Err(ProcessError::NotAUrl(_))), "{url}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        let local = |listen: &str| local(listen.parse().unwrap());
        assert_eq!(local("0.0.0.0:9090").unwrap().to_string(), "127.0.0.1:9090");
        assert_eq!(local("[::]:9090").unwrap().to_string(), "[::1]:9090");
        assert_eq!(local("10.0.0.1:9090").unwrap().to_string(), "10.0.0.1:9090");
        assert!(matches!(local("127.0.0.1:0"), Err(ProcessError::NoPort)));
    }
}
