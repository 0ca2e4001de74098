//! Certificates and keys as files. Reads them, for the listener and for upstreams, and says what is wrong with files that
//! are something else. Keeps the listener's pairs of a certificate and its key: what was read last and could be used
//! stays in use until its files can be used again.
//! Files, in reading order: `pem` (reads one file), `flaw` (what is wrong with one), `x509` (the encoding of a
//! certificate), `pair` (one and its key), `facts` (what a certificate says of itself), `validity` (whether it is its time), `state` (how a
//! pair of the listener stands), `store` (all of them), `lost` (what a
//! process that starts would not serve).

mod facts;
mod flaw;
mod lost;
mod pair;
mod pem;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod validity;
mod x509;

pub use facts::Facts;
pub use flaw::{BadFile, Flaw, Kind, told};
pub use lost::lost;
pub use pair::Pair;
pub use pem::{PrivateKey, private_key, read_certificates};
pub use state::CertificateState;
pub use store::{CertificateList, CertificateStore};
pub use validity::Validity;
