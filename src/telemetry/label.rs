//! The value of a label. Names of the configuration have no character that would need it, but a metric must stay
//! readable whatever a task or a rule is called one day: one bad line ends the scrape of all.

use std::fmt::{self, Write};
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// A text that is escaped where it is written as a label. prometheus-client writes texts as they are
/// (prometheus/client_rust#151).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label(Arc<str>);

impl<T: Into<Arc<str>>> From<T> for Label {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl Label {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['\\', '"', '\n']) {
            let (text, escape) = match part.as_bytes().last() {
                Some(b'\\') => (part.strip_suffix('\\'), "\\\\"),
                Some(b'"') => (part.strip_suffix('"'), "\\\""),
                Some(b'\n') => (part.strip_suffix('\n'), "\\n"),
                _ => (None, ""),
            };
            encoder.write_str(text.unwrap_or(part))?;
            encoder.write_str(escape)?;
        }
        Ok(())
    }
}
