//! Where a service is reached: its domains, and its routes, which are parts of domains. Both claim names from one name
//! space, in which a route for a whole domain has the domain's name.

use std::ops::Range;

use super::super::model::{DomainPattern, Route};
use super::super::raw::{Field, Located, RawRoute};
use super::super::source::{Complaint, Findings};
use super::claims::{Claims, NameKind};
use super::host;
use super::service::Claim;

/// The claims of one file, and who in it made each first.
pub struct Claiming<'a> {
    own: Claims,
    claims: &'a mut Vec<Claim>,
    /// The domain that the service has anyway.
    default: Option<String>,
}

impl<'a> Claiming<'a> {
    /// Continues after the default domain, which is claimed already.
    pub fn after(claims: &'a mut Vec<Claim>) -> Self {
        let mut own = Claims::default();
        let default = claims.iter().find(|claim| claim.what == NameKind::Domain);
        let default = default.map(|claim| claim.name.clone());
        for claim in claims.iter().filter(|claim| claim.what == NameKind::Domain) {
            own.put(&claim.name, &claim.spot);
        }
        Self { own, claims, default }
    }

    fn take(&mut self, file: &mut Findings<'_>, span: Range<usize>, name: String, what: NameKind) {
        if self.default.as_ref() == Some(&name) {
            let message =
                format!("`{name}` is the default domain of the service, which it has anyway");
            return file.add(span, Complaint::new(message, "remove it here"));
        }
        if self.own.take(file, span.clone(), &name, what) {
            self.claims.push(Claim { what, name, spot: file.source.spot(span) });
        }
    }
}

/// The domains of a file, the default one first.
pub fn domains(
    file: &mut Findings<'_>,
    raw: Option<Vec<Located<String>>>,
    default: Option<DomainPattern>,
    claiming: &mut Claiming<'_>,
) -> Vec<DomainPattern> {
    let mut domains: Vec<DomainPattern> = default.into_iter().collect();
    for item in raw.into_iter().flatten() {
        let (span, text) = item.into_parts();
        let Some(domain) = file.check(span.clone(), host::domain_pattern(&text)) else {
            continue;
        };
        claiming.take(file, span, domain.to_string(), NameKind::Domain);
        domains.push(domain);
    }
    domains
}

/// The routes of a file that are right.
pub fn routes(
    file: &mut Findings<'_>,
    raw: Option<Vec<Located<RawRoute>>>,
    claiming: &mut Claiming<'_>,
) -> Vec<Route> {
    let route = |raw| route(file, raw, claiming);
    raw.into_iter().flatten().filter_map(route).collect()
}

fn route(
    file: &mut Findings<'_>,
    raw: Located<RawRoute>,
    claiming: &mut Claiming<'_>,
) -> Option<Route> {
    let (table, RawRoute { domain, path }) = raw.into_parts();
    let is_lost = file.has_lost(Some(&table), "path");
    let domain = file.required(&table, "domain", domain).and_then(|(span, text)| {
        let domain = file.check(span.clone(), host::domain_pattern(&text))?;
        Some((domain, span))
    });
    let path = self::path(file, path);
    let ((domain, span), path) = domain.zip(path)?;
    let route = Route { domain, path };
    // A route whose path is wrong was not meant for the whole domain.
    if !is_lost {
        let what = if route.path == Route::WHOLE { NameKind::Domain } else { NameKind::Route };
        claiming.take(file, span, route.to_string(), what);
    }
    Some(route)
}

fn path(file: &mut Findings<'_>, raw: Field<String>) -> Option<String> {
    match raw {
        Some(path) => file.text(Some(path), prefix),
        None => Some(Route::WHOLE.to_owned()),
    }
}

/// A prefix of whole segments, without a slash at its end.
fn prefix(text: &str) -> Result<String, Complaint> {
    if text == Route::WHOLE {
        return Ok(text.to_owned());
    }
    let wrong = |why: String, help: String| {
        Complaint::new(format!("{text:?} cannot be the path of a route: {why}"), help)
    };
    let Some(segments) = text.strip_prefix('/') else {
        let help = match text.starts_with(['^', '~', '=']) {
            true => {
                "write whole segments as they are, such as `/api`: a path is no regular expression"
                    .to_owned()
            }
            false => format!("write `/{text}`"),
        };
        return Err(wrong("it does not begin with `/`".to_owned(), help));
    };
    let is_strange = |c: &char| "%?#*".contains(*c) || c.is_whitespace() || c.is_control();
    if let Some(stranger) = text.chars().find(is_strange) {
        let help = "write whole segments as they are, such as `/api`; what follows them may be \
                    anything";
        return Err(wrong(format!("it contains {stranger:?}"), help.to_owned()));
    }
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    match segments.split('/').find(|segment| ["", ".", ".."].contains(segment)) {
        Some("") => Err(wrong("it has an empty segment".to_owned(), "remove one `/`".to_owned())),
        Some(dots) => {
            let help = "write the path that is meant";
            Err(wrong(format!("it has the segment `{dots}`"), help.to_owned()))
        }
        None => Ok(format!("/{segments}")),
    }
}
