//! A service's file by itself: its name and domains, its versions, and who gets which. Called for
//! each file and environment whose text or surroundings changed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::document::Document;
use super::super::model::{
    DomainPattern, Limits, Percent, Service, ServiceName, Split, SplitError, Traffic, VersionName,
    VersionSpec, gap,
};
use super::super::raw::{Field, Located, RawPercent, RawService, RawTraffic, RawVersion, Table};
use super::super::report::Problem;
use super::super::source::{Complaint, Findings, Spot};
use super::super::suggest;
use super::claims::{Claims, What};
use super::{env, field, limits, quarantine};

/// What a service's file needs to know about the main file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The domain of the environment.
    pub domain: String,
    /// The limits of versions that set none.
    pub limits: Limits,
}

/// A service's file by itself: whether others have its names already is not known yet.
#[derive(Debug)]
pub struct Draft {
    pub service: Arc<Service>,
    /// Its names, the one it is called by and its default domain first.
    pub claims: Vec<Claim>,
}

/// A name that only one service may have, and where it is written.
#[derive(Clone, Debug)]
pub struct Claim {
    pub what: What,
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
    let mut file = Findings { source: &source, lost: &lost, problems };
    let RawService { name, domains, versions, traffic, quarantine } = raw;
    let mut claims = Vec::new();
    let name = self::name(&mut file, name).map(|(name, spot)| {
        let domain = default_domain(&name, &around.domain);
        claims.push(Claim { what: What::Service, name: name.to_string(), spot: spot.clone() });
        claims.push(Claim { what: What::Domain, name: domain.clone(), spot });
        (name, DomainPattern::Exact(domain))
    });
    let (name, default_domain) = name.unzip();
    let domains = self::domains(&mut file, domains, default_domain, &mut claims);
    let Declared { names, versions } = self::versions(&mut file, versions, &around.limits);
    let traffic = self::traffic(&mut file, traffic, &names);
    let quarantine = quarantine::quarantine(&mut file, quarantine);
    let path = source.path.clone();
    let service = Service {
        name: name?,
        domains,
        routes: Vec::new(),
        versions,
        traffic,
        policy: Default::default(),
        quarantine,
        file: path,
    };
    Some(Draft { service: Arc::new(service), claims })
}

impl Draft {
    /// The same service under another domain of its environment.
    pub fn under(&self, domain: &str) -> Self {
        let mut service = Service::clone(&self.service);
        let mut claims = self.claims.clone();
        let domain = default_domain(&service.name, domain);
        if let Some(claim) = claims.iter_mut().find(|claim| claim.what == What::Domain) {
            claim.name.clone_from(&domain);
        }
        if let Some(default) = service.domains.first_mut() {
            *default = DomainPattern::Exact(domain);
        }
        Self { service: Arc::new(service), claims }
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

fn domains(
    file: &mut Findings<'_>,
    raw: Option<Vec<Located<String>>>,
    default: Option<DomainPattern>,
    claims: &mut Vec<Claim>,
) -> Vec<DomainPattern> {
    let mut own = Claims::default();
    for claim in claims.iter().filter(|claim| claim.what == What::Domain) {
        own.put(&claim.name, &claim.spot);
    }
    let mut domains: Vec<DomainPattern> = default.into_iter().collect();
    for item in raw.into_iter().flatten() {
        let (span, text) = item.into_parts();
        let Some(domain) = file.check(span.clone(), field::domain_pattern(&text)) else {
            continue;
        };
        let name = domain.to_string();
        if own.take(file, span.clone(), &name, What::Domain) {
            claims.push(Claim { what: What::Domain, name, spot: file.source.spot(span) });
        }
        domains.push(domain);
    }
    domains
}

/// The versions of a file: those that are right, and the names of all, so that a wrong version is
/// not unknown as well.
struct Declared {
    names: Names,
    versions: Vec<VersionSpec>,
}

/// What versions are called in the file, and which one has the name.
struct Names {
    /// Whether there may be more, which nobody could read.
    incomplete: bool,
    indexes: BTreeMap<String, usize>,
}

fn versions(
    file: &mut Findings<'_>,
    raw: Option<Vec<Located<Table<RawVersion>>>>,
    limits: &Limits,
) -> Declared {
    let mut claims = Claims::default();
    let mut names = Names { incomplete: file.has_lost(None, "versions"), indexes: BTreeMap::new() };
    let mut versions = Vec::new();
    for (index, raw) in raw.into_iter().flatten().enumerate() {
        let (table, Table(raw)) = raw.into_parts();
        match raw.name.as_ref().map(Located::value) {
            Some(name) => {
                names.indexes.entry(name.clone()).or_insert(index);
            }
            None => names.incomplete = true,
        }
        versions.extend(version(file, &table, raw, limits, &mut claims));
    }
    Declared { names, versions }
}

fn version(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    raw: RawVersion,
    limits: &Limits,
    claims: &mut Claims,
) -> Option<VersionSpec> {
    let RawVersion { name, component, digest, env, remark, limits: raw_limits } = raw;
    let name = file.required(table, "name", name);
    let name = name.and_then(|(span, text)| version_name(file, span, &text, claims));
    let component = file.required(table, "component", component);
    let component = component.and_then(|(span, text)| {
        let path = file.path_from("component", &text);
        file.check(span, path)
    });
    let digest = file.text(digest, field::digest);
    let env = env::env(file, env);
    let limits = limits::over(file, raw_limits, limits);
    Some(VersionSpec { name: name?, component: component?, digest, env, remark, limits })
}

fn version_name(
    file: &mut Findings<'_>,
    span: Range<usize>,
    text: &str,
    claims: &mut Claims,
) -> Option<VersionName> {
    let name = file.check(span.clone(), field::version_name(text))?;
    claims.take(file, span, text, What::Version);
    Some(name)
}

fn traffic(file: &mut Findings<'_>, raw: Field<Table<RawTraffic>>, names: &Names) -> Traffic {
    let Some((table, Table(RawTraffic { split, latest }))) = raw.map(Located::into_parts) else {
        return Traffic::Latest;
    };
    let latest = latest.map(Located::into_parts);
    match (&latest, &split) {
        (Some((span, true)), Some(_)) => {
            let message = "`latest = true` and `split` contradict each other";
            let help = "keep `latest` for a full upgrade, or `split` for a gray one";
            file.add(span.clone(), Complaint::new(message, help));
        }
        (Some((span, false)), None) if !file.has_lost(Some(&table), "split") => {
            let message = "`latest = false` leaves open who gets what";
            let help = "add a `split`, or write `latest = true`";
            file.add(span.clone(), Complaint::new(message, help));
        }
        _ => {}
    }
    let split = split.and_then(|split| self::split(file, split, names));
    split.map_or(Traffic::Latest, Traffic::Split)
}

fn split(
    file: &mut Findings<'_>,
    raw: Located<BTreeMap<Located<String>, Located<RawPercent>>>,
    names: &Names,
) -> Option<Split> {
    let (span, raw) = raw.into_parts();
    // Without all of its shares, a split's sum says nothing.
    let mut complete = !file.has_lost_any(&span);
    let mut shares = Vec::new();
    for (version, percent) in raw {
        let share = share(file, version, percent, names);
        complete &= share.is_some();
        shares.extend(share);
    }
    if !complete {
        return None;
    }
    let split = Split::new(shares).map_err(|error| bad_split(&error));
    file.check(span, split)
}

fn share(
    file: &mut Findings<'_>,
    version: Located<String>,
    percent: Located<RawPercent>,
    names: &Names,
) -> Option<(usize, Percent)> {
    let (key, version) = version.into_parts();
    let (value, RawPercent(percent)) = percent.into_parts();
    let index = match names.index_of(&version) {
        Ok(index) => Some(index),
        // All of the names are looked at for the complaint.
        Err(()) if file.is_full() => None,
        Err(()) => file.check(key, Err(unknown_version(&version, names))),
    };
    let percent = file.check(value, field::percent(&version, percent));
    Some((index??, percent?))
}

impl Names {
    /// The index of a version; none if it may be among those that nobody could read.
    fn index_of(&self, version: &str) -> Result<Option<usize>, ()> {
        match self.indexes.get(version) {
            Some(index) => Ok(Some(*index)),
            None if self.incomplete => Ok(None),
            None => Err(()),
        }
    }
}

fn unknown_version(version: &str, names: &Names) -> Complaint {
    let declared: Vec<&str> = names.indexes.keys().map(String::as_str).collect();
    let meant = suggest::closest(version, &declared);
    let help = match declared.as_slice() {
        [] => format!("declare it with `[[versions]]` and `name = {version:?}`"),
        declared => {
            let list = format!("the declared versions are {}", suggest::list(declared));
            suggest::help(meant, &list)
        }
    };
    Complaint::new(format!("there is no version `{version}`"), help)
}

fn bad_split(error: &SplitError) -> Complaint {
    match error {
        SplitError::Sum { hundredths: 100 } => Complaint::new(
            error.to_string(),
            "write percentages: `90` is 90 %, and `0.9` is less than 1 %",
        ),
        SplitError::Sum { hundredths } => {
            let help = format!("{}: change the shares until they add up", gap(*hundredths));
            Complaint::new(error.to_string(), help)
        }
        SplitError::Empty | SplitError::Twice(_) => Complaint::new(
            format!("`split` cannot be used: {error}"),
            "name each version that gets a share once, such as `{ v1 = 90, v2 = 10 }`",
        ),
    }
}
