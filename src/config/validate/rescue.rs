//! What becomes of requests whose version fails: which version answers them, and when it may.

use super::super::model::{Reach, Rescue};
use super::super::raw::{Field, Located, RawSize};
use super::super::source::{Complaint, Findings};
use super::request::token;
use super::split::Names;
use super::upstream::{insert, status, twice};

/// Methods that may be done twice anyway (RFC 9110, section 9.2.2).
const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"];

/// The keys of `[traffic]` about it.
pub struct RawRescue {
    pub version: Field<String>,
    pub buffer: Field<RawSize>,
    pub methods: Field<Vec<Located<String>>>,
    pub statuses: Field<Vec<Located<String>>>,
}

/// Checks the keys of a service whose versions have these names and reaches; `is_lost` says whether `rescue` is
/// written and could not be read.
pub fn rescue(
    file: &mut Findings<'_>,
    raw: RawRescue,
    is_lost: bool,
    names: &Names,
    reach: &[Reach],
) -> Option<Rescue> {
    let RawRescue { version, buffer, methods, statuses } = raw;
    let spans = [
        ("rescue-buffer", buffer.as_ref().map(Located::span)),
        ("rescue-methods", methods.as_ref().map(Located::span)),
        ("rescue-statuses", statuses.as_ref().map(Located::span)),
    ];
    let buffer = file.size("rescue-buffer", buffer, &Rescue::BUFFER);
    let methods = self::methods(file, methods);
    let statuses = self::statuses(file, statuses);
    let Some(version) = version else {
        for (key, span) in spans.into_iter().filter(|_| !is_lost) {
            let Some(span) = span else { continue };
            let message = format!("`{key}` says nothing without `rescue`");
            let help = "add `rescue = \"…\"` with the version that answers instead, or remove it";
            file.add(span, Complaint::new(message, help));
        }
        return None;
    };
    let index = names.find(file, &version)?;
    if let Some(complaint) = suspect(version.value(), index, names, reach) {
        file.warn(version.span(), complaint);
    }
    let buffer = buffer.unwrap_or(Rescue::BUFFER_DEFAULT);
    Some(Rescue { version: index, buffer, methods, statuses })
}

/// A rescue that cannot happen.
fn suspect(version: &str, index: usize, names: &Names, reach: &[Reach]) -> Option<Complaint> {
    if reach.get(index) == Some(&Reach::Cutoff) {
        let message = format!("{version} rescues no request: its reach is `cutoff`");
        let help = "name another version, or set its `reach` to `live`, `pinned` or `override`";
        return Some(Complaint::new(message, help));
    }
    let is_only = names.indexes.len() == 1 && !names.incomplete;
    is_only.then(|| {
        let message = format!("{version} rescues no request: it is the only version");
        Complaint::new(message, "declare another version, or remove `rescue`")
    })
}

/// Sorted: their order says nothing.
fn methods(file: &mut Findings<'_>, raw: Field<Vec<Located<String>>>) -> Vec<String> {
    let items = raw.map(|raw| raw.into_parts().1).unwrap_or_default();
    let mut methods: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        let (span, text) = item.into_parts();
        let Some(method) = file.check(span.clone(), method(&text)) else { continue };
        if IDEMPOTENT.contains(&method.as_str()) {
            let message = format!("{method} is rescued anyway: doing it twice is harmless");
            file.warn(span.clone(), Complaint::new(message, "remove it here"));
        }
        if ["*", "ANY", "ALL"].contains(&method.as_str()) {
            let message = format!("`{method}` is one method, and no request has it");
            let help = "write each method that may be done twice, such as `POST`";
            file.warn(span.clone(), Complaint::new(message, help));
        }
        match methods.contains(&method) {
            true => file.add(span, twice("rescue-methods", &method)),
            false => methods.push(method),
        }
    }
    methods.sort_unstable();
    methods
}

fn method(text: &str) -> Result<String, Complaint> {
    let method = token("a method", text, "write a method such as `POST`")?;
    let upper = method.to_ascii_uppercase();
    match method == upper {
        true => Ok(method),
        false => {
            let message = format!("{method:?} is no method: methods are in upper case");
            Err(Complaint::new(message, format!("write `{upper}`")))
        }
    }
}

/// Sorted.
fn statuses(file: &mut Findings<'_>, raw: Field<Vec<Located<String>>>) -> Vec<u16> {
    let items = raw.map(|raw| raw.into_parts().1).unwrap_or_default();
    let mut statuses = Vec::with_capacity(items.len());
    for item in items {
        let (span, text) = item.into_parts();
        let usual = "write a status such as `503`";
        let found = status("rescue-statuses", &text, &Rescue::STATUSES, usual);
        let Some(status) = file.check(span.clone(), found) else { continue };
        if !insert(&mut statuses, status) {
            file.add(span, twice("rescue-statuses", &text));
        }
    }
    statuses
}
