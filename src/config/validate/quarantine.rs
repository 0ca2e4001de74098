//! Quarantine entries: digests of what must not get traffic, and a name for people. Whether a version has such a digest
//! is not known here.

use std::ops::Range;

use super::super::model::Quarantined;
use super::super::raw::{Located, RawQuarantined};
use super::super::source::Findings;
use super::field;

/// The entries that are right.
pub fn quarantine(
    file: &mut Findings<'_>,
    raw: Option<Vec<Located<RawQuarantined>>>,
) -> Vec<Quarantined> {
    let entry = |raw: Located<RawQuarantined>| {
        let (table, raw) = raw.into_parts();
        entry(file, &table, raw)
    };
    raw.into_iter().flatten().filter_map(entry).collect()
}

fn entry(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    raw: RawQuarantined,
) -> Option<Quarantined> {
    let RawQuarantined { digest, env, version, remark } = raw;
    let digest = file.required(table, "digest", digest);
    let digest = digest.and_then(|(span, text)| file.check(span, field::digest(&text)));
    let env = file.text(env, field::env_digest);
    let version = file.required(table, "version", version);
    let version = version.and_then(|(span, text)| file.check(span, field::version_name(&text)));
    Some(Quarantined { digest: digest?, env, version: version?, remark })
}
