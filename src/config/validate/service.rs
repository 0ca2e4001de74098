//! A service's file by itself: its name and domains, its versions, and its traffic. Called for each file and
//! environment whose text or surroundings changed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use super::super::document::Document;
use super::super::model::{
    AllLimits, Digest, DomainPattern, Reach, Service, ServiceName, VersionName, VersionSpec,
};
use super::super::raw::{Field, Located, RawService, RawVersion};
use super::super::report::Problem;
use super::super::source::{Complaint, Findings, Spot};
use super::backend::{self, RawBackend, Served};
use super::claims::{Claims, NameKind};
use super::policy::{Decided, decided};
use super::routes::{Claiming, domains, routes};
use super::split::Names;
use super::{field, quarantine};

/// What a service's file needs from the main file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The domain of the environment.
    pub domain: String,
    /// Limits of versions that set none.
    pub limits: AllLimits,
    /// The addresses of the server.
    pub listen: Vec<SocketAddr>,
}

/// A service's file by itself: whether its names belong to others is not known yet.
#[derive(Debug)]
pub struct Draft {
    pub service: Arc<Service>,
    /// Its names: its own and its default domain come first.
    pub claims: Vec<Claim>,
    /// Warnings: what is right and yet can hardly be meant.
    pub warnings: Vec<Problem>,
    /// Of the text, without its byte order mark.
    pub digest: Digest,
}

/// A name that only one service may have, and where it is written.
#[derive(Clone, Debug)]
pub struct Claim {
    pub what: NameKind,
    pub name: String,
    pub spot: Spot,
}

/// Checks a service's file. The result counts only if no problem was added.
pub fn draft(
    document: Document<RawService>,
    around: &Surroundings,
    problems: &mut Vec<Problem>,
) -> Option<Draft> {
    let Document { source, raw, lost } = document;
    let mut file = Findings { source: &source, lost: &lost, problems, warnings: Vec::new() };
    let RawService { name, domains, routes, versions, traffic, quarantine } = raw;
    let mut claims = Vec::new();
    let name = self::name(&mut file, name).map(|(name, spot)| {
        let domain = default_domain(&name, &around.domain);
        claims.push(Claim { what: NameKind::Service, name: name.to_string(), spot: spot.clone() });
        claims.push(Claim { what: NameKind::Domain, name: domain.clone(), spot });
        (name, DomainPattern::Exact(domain))
    });
    let (name, default_domain) = name.unzip();
    let mut claiming = Claiming::after(&mut claims);
    let domains = self::domains(&mut file, domains, default_domain, &mut claiming);
    let routes = self::routes(&mut file, routes, &mut claiming);
    let Declared { names, versions, reach } = self::versions(&mut file, versions, around);
    let quarantine = quarantine::quarantine(&mut file, quarantine);
    let Decided { traffic, policy, warnings: of_rules } =
        decided(&mut file, traffic, &names, reach);
    let mut warnings = file.take_warnings();
    warnings.extend(of_rules);
    let (file, digest) = (source.path.clone(), Digest::of(&source.text));
    let name = name?;
    let service = Service { name, domains, routes, versions, traffic, policy, quarantine, file };
    Some(Draft { service: Arc::new(service), claims, warnings, digest })
}

impl Draft {
    /// The same service under another domain of its environment.
    pub fn under(&self, domain: &str) -> Self {
        let mut service = Service::clone(&self.service);
        let mut claims = self.claims.clone();
        let domain = default_domain(&service.name, domain);
        if let Some(claim) = claims.iter_mut().find(|claim| claim.what == NameKind::Domain) {
            claim.name.clone_from(&domain);
        }
        if let Some(default) = service.domains.first_mut() {
            *default = DomainPattern::Exact(domain);
        }
        let (warnings, digest) = (self.warnings.clone(), self.digest);
        Self { service: Arc::new(service), claims, warnings, digest }
    }
}

fn name(file: &mut Findings<'_>, raw: Field<String>) -> Option<(ServiceName, Spot)> {
    let Some((span, text)) = raw.map(Located::into_parts) else {
        return name_of_file(file);
    };
    let name = file.check(span.clone(), field::service_name(&text))?;
    Some((name, file.source.spot(span)))
}

fn name_of_file(file: &mut Findings<'_>) -> Option<(ServiceName, Spot)> {
    if file.has_lost(None, "name") {
        return None;
    }
    let path = &file.source.path;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = field::service_name(&stem).map_err(|complaint| {
        let help = "rename the file, or give the service a `name`";
        file.add_to_file(Complaint { help: help.to_owned(), ..complaint });
    });
    Some((name.ok()?, Spot::of_file(path)))
}

fn default_domain(name: &ServiceName, environment: &str) -> String {
    format!("{name}.{environment}")
}

/// The versions of a file that are right, and the names of all, so that a wrong version is not reported as unknown too.
struct Declared {
    names: Names,
    versions: Vec<VersionSpec>,
    /// Of all, by the indexes that their names have.
    reach: Vec<Reach>,
}

fn versions(
    file: &mut Findings<'_>,
    raw: Option<Vec<Located<RawVersion>>>,
    around: &Surroundings,
) -> Declared {
    let mut claims = Claims::default();
    let mut names = Names { incomplete: file.has_lost(None, "versions"), indexes: BTreeMap::new() };
    let (mut versions, mut reach) = (Vec::new(), Vec::new());
    for (index, raw) in raw.into_iter().flatten().enumerate() {
        let (table, mut raw) = raw.into_parts();
        match raw.name.as_ref().map(Located::value) {
            Some(name) => {
                names.indexes.entry(name.clone()).or_insert(index);
            }
            None => names.incomplete = true,
        }
        let own = file.text(raw.reach.take(), field::word("reach", &Reach::ALL, Reach::as_str));
        reach.push(own.unwrap_or_default());
        versions.extend(version(file, &table, raw, around, &mut claims));
    }
    Declared { names, versions, reach }
}

fn version(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    raw: RawVersion,
    around: &Surroundings,
    claims: &mut Claims,
) -> Option<VersionSpec> {
    let RawVersion { name, component, upstream, digest, env, outbound, remark, reach: _, limits } =
        raw;
    let name = file.required(table, "name", name);
    let name = name.and_then(|(span, text)| version_name(file, span, &text, claims));
    let raw = RawBackend { component, upstream, digest, env, outbound, limits };
    let Served { backend, limits, place } = backend::backend(file, table, raw, around)?;
    Some(VersionSpec { name: name?, remark, backend, limits, place })
}

fn version_name(
    file: &mut Findings<'_>,
    span: Range<usize>,
    text: &str,
    claims: &mut Claims,
) -> Option<VersionName> {
    let name = file.check(span.clone(), field::version_name(text))?;
    claims.take(file, span, text, NameKind::Version);
    Some(name)
}
