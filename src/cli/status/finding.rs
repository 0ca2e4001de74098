//! What a person should look at: what is wrong with a service, what requests get meanwhile, and what to do. Pure: from
//! the status document to sentences.

mod upstream;

use super::figures::{beyond_chance, grouped, likelihood};
use super::page::{WAITING, WRONG};
use crate::api::{
    CertificateDocument, RejectionDocument, ReloadDocument, ServiceDocument, StatusDocument,
    SubstituteDocument, VersionDocument,
};
use crate::cli::table::NONE;
use crate::config::Problem;
use crate::policy::{health, rescue};
use anstyle::Style;

/// One thing to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    pub style: Style,
    /// What kind of thing it is.
    pub label: String,
    /// What is wrong.
    pub text: String,
    /// What to do, and further lines that are wrapped.
    pub more: Vec<String>,
    /// Lines that keep their form, such as a report that marks a place.
    pub quoted: Vec<String>,
    /// Whether nothing is wrong yet: something is on its way.
    pub is_passing: bool,
}

/// How a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mood {
    /// Requests get no answer, and should.
    Down,
    /// Something is wrong.
    Look,
    /// A version is being made.
    Making,
    /// Offline, as it is declared.
    Offline,
    Fine,
}

impl Finding {
    fn new(style: Style, label: &str, text: impl Into<String>) -> Self {
        Self { style, label: label.to_owned(), text: text.into(), ..Self::default() }
    }

    fn help(mut self, help: &str) -> Self {
        self.more.extend((!help.is_empty()).then(|| format!("help: {help}")));
        self
    }
}

impl Mood {
    pub fn of(service: &ServiceDocument, findings: &[Finding]) -> Self {
        let is_wrong = findings.iter().any(|finding| !finding.is_passing);
        match (is_wrong, service.serving.as_str()) {
            (true, "nothing") => Self::Down,
            (true, _) => Self::Look,
            (false, _) if !findings.is_empty() => Self::Making,
            (false, "offline") => Self::Offline,
            (false, _) => Self::Fine,
        }
    }
}

/// What there is to look at of a service, the worst first.
pub fn of_service(
    service: &ServiceDocument,
    environment: &str,
    document: &StatusDocument,
) -> Vec<Finding> {
    let own = |rejection: &&RejectionDocument| {
        rejection.environment == environment && rejection.serves.as_ref() == Some(&service.name)
    };
    let errors: Vec<_> = service.versions.iter().filter_map(error).collect();
    let file = std::path::Path::new(&service.file);
    let warnings = document.warnings.iter().filter(|warning| warning.file == file);
    let rejected = document.rejected.iter().filter(own);
    let rejected = rejected.map(|rejection| rejected_file(rejection, Some(service)));
    let mut findings: Vec<_> = held(service).into_iter().chain(rejected).chain(errors).collect();
    findings.extend(failing(service));
    findings.extend(service.versions.iter().flat_map(upstream::of_version));
    findings.extend(service.versions.iter().filter_map(|version| substituted(version, service)));
    findings.extend(after_restart(service));
    findings.extend(service.versions.iter().filter_map(difference));
    let warning = service.warning.iter().map(|why| Finding::new(WAITING, "warning", why));
    findings.extend(warning.chain(warnings.map(warned)));
    findings.sort_by_key(|finding| finding.is_passing);
    findings
}

/// What there is to look at beside the services that are served. `services` are the names of those, with their
/// environments.
pub fn of_process(
    document: &StatusDocument,
    is_shown: impl Fn(&str, &str) -> bool,
) -> Vec<Finding> {
    let trouble = document.troubles.iter().map(|trouble| Finding::new(WRONG, "trouble", trouble));
    let mut findings: Vec<_> = trouble.collect();
    findings.extend(document.certificates.iter().flat_map(certificate));
    findings.extend(main_file(document));
    findings.extend(document.last_reload.as_ref().and_then(restart));
    let strange = document.rejected.iter().filter(|rejection| {
        let name = rejection.serves.as_deref();
        !name.is_some_and(|name| is_shown(&rejection.environment, name))
    });
    findings.extend(strange.map(|rejection| rejected_file(rejection, None)));
    let services = document.environments.iter().flat_map(|it| &it.services);
    let files: Vec<_> = services.map(|service| std::path::Path::new(&service.file)).collect();
    let other = document.warnings.iter().filter(|it| !files.contains(&it.file.as_path()));
    findings.extend(other.map(warned));
    findings
}

/// What the main file says that only a restart applies.
fn restart(last: &ReloadDocument) -> Option<Finding> {
    let ReloadDocument { restart_needed_for: keys, restart_changes, .. } = last;
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| NONE.to_owned());
    let told = |key: &String| {
        let change = restart_changes.iter().find(|change| change.key == *key);
        let change = change.map(|it| format!(" ({} → {})", value(&it.before), value(&it.after)));
        key.clone() + &change.unwrap_or_default()
    };
    let told: Vec<_> = keys.iter().map(told).collect();
    let text = format!("`watershed restart` applies {}", told.join(", "));
    (!told.is_empty()).then(|| Finding::new(WAITING, "restart", text))
}

/// That many requests fail, by what counts as many in the lists of the API too.
fn failing(service: &ServiceDocument) -> Option<Finding> {
    let observed = service.versions.iter().find_map(|version| version.observed.as_ref());
    let requests = observed?.minute.service_requests;
    let errors = |ratio| health::errors(requests, service.error_ratio, ratio);
    match errors(health::FAILING) {
        Some(why) => Some(Finding::new(WRONG, "failing", why)),
        None => Some(Finding::new(WAITING, "errors", errors(health::NOTABLE)?)),
    }
}

/// Why what is declared is not what is served, and what requests get.
fn held(service: &ServiceDocument) -> Option<Finding> {
    let ServiceDocument { name, held, serving, rescuer, versions, .. } = service;
    let rescuer = rescuer.as_deref();
    let is_making = versions.iter().any(|version| version.status == "creating");
    let passing = |finding: Finding| Finding { is_passing: is_making, ..finding };
    let why = held.as_deref().map(|why| reason(why, service));
    Some(match (serving.as_str(), why) {
        ("nothing", _) if versions.is_empty() => {
            Finding::new(WRONG, "down", "it has no versions, and requests get 503 `no-version`")
                .help(&format!("watershed deploy {name} VERSION --component FILE"))
        }
        ("nothing" | "rescue", why) if is_making => passing(Finding::new(
            WAITING,
            "starting",
            format!("{} until then: {}", rescue::answers(rescuer), why.unwrap_or_default()),
        )),
        ("nothing" | "rescue", why) => {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            let (style, label) = match rescuer {
                Some(_) => (WAITING, "rescued"),
                None => (WRONG, "down"),
            };
            Finding::new(style, label, rescue::instead(rescuer) + &why)
        }
        (_, None) => return None,
        ("offline", Some(why)) => passing(Finding::new(
            WAITING,
            "held",
            format!("stays offline, and requests get 503 `offline`: {why}"),
        )),
        (_, Some(why)) => {
            passing(Finding::new(WAITING, "held", format!("goes on as it was: {why}")))
        }
    })
}

/// A reason without what another finding says of a version already.
fn reason(why: &str, service: &ServiceDocument) -> String {
    let faults = service.versions.iter().filter_map(|version| version.error.as_ref());
    faults.fold(why.to_owned(), |why, fault| {
        why.replace(&format!(" ({}: {}; {})", fault.code, fault.detail, fault.suggestion), "")
    })
}

/// Why a version cannot serve, and who serves its requests.
fn error(version: &VersionDocument) -> Option<Finding> {
    let VersionDocument { name, share, error, place, .. } = version;
    let fault = error.as_ref()?;
    let label = format!("error[{}]", fault.code);
    let gets = match version.predecessor_serves {
        true if *share > 0.0 => {
            format!("{share} % of the requests still go to {name} as it was before")
        }
        true => format!("requests for it still go to {name} as it was before"),
        false => "it gets no requests".to_owned(),
    };
    let finding = Finding::new(WRONG, &label, format!("version {name}: {}; {gets}", fault.detail));
    let mut finding = finding.help(&fault.suggestion);
    let place = place.as_ref().and_then(|place| Some((place.file.display(), place.line?)));
    finding.more.extend(place.map(|(file, line)| format!("declared at {file}:{line}")));
    Some(finding)
}

/// A version whose file does not have what is declared: what is served, and what a restart would serve.
fn substituted(version: &VersionDocument, service: &ServiceDocument) -> Option<Finding> {
    let SubstituteDocument { code, detail, from, outlives_process } =
        version.substitute.as_ref()?;
    let served = match (from.as_str(), outlives_process) {
        ("store", true) => "the declared component is served from the store, also after a restart",
        ("cache", true) => {
            "the declared component is served, and after a restart too, from the compile cache, until \
             that is emptied or watershed is upgraded"
        }
        _ => "the declared component is served from memory, and cannot be made after a restart",
    };
    let text = format!("version {}: {detail}; {served}", version.name);
    let help = format!(
        "put the declared component back, or deploy the new one under another name: \
         `watershed deploy {} …`",
        service.name
    );
    Some(Finding::new(WAITING, &format!("file[{code}]"), text).help(&help))
}

/// What a restart would serve, where that is not what is served.
fn after_restart(service: &ServiceDocument) -> Option<Finding> {
    let shares = service.after_restart.as_deref()?;
    let each = shares.iter().map(|share| format!("{} {} %", share.version, share.share));
    let text = match shares {
        // A restart would take away what is served, and so it is refused; a new start does not ask.
        [] if service.serving != "nothing" => {
            let text = format!(
                "nothing of {} is served; `watershed restart` is refused meanwhile",
                service.name
            );
            return Some(Finding::new(WAITING, "if the process is started anew", text));
        }
        [] => format!("nothing of {} is served", service.name),
        _ => format!("{} serves {}", service.name, each.collect::<Vec<_>>().join(", ")),
    };
    Some(Finding::new(WAITING, "after a restart", text))
}

/// A version that is drawn more or less often than it should be.
fn difference(version: &VersionDocument) -> Option<Finding> {
    let (window, when) = beyond_chance(version)?;
    let draws = window.draws.as_ref()?;
    let (drawn, of) = (draws.drawn_share.unwrap_or_default(), grouped(draws.drawn_of));
    let (name, declared, p) = (&version.name, version.share, likelihood(draws.p_value));
    let text = format!("{name}: {drawn:.2} % of {of} drawn {when}, declared {declared} % ({p})");
    Some(Finding::new(WAITING, "beyond chance", text))
}

/// A file that is wrong, and what is served of it.
fn rejected_file(rejection: &RejectionDocument, served: Option<&ServiceDocument>) -> Finding {
    let RejectionDocument { file, report, .. } = rejection;
    let meanwhile = match served.map(|service| service.serving.as_str()) {
        None => match &rejection.serves {
            Some(name) => format!("{name} is not served"),
            None => "nothing is served from it: its domains get 404 `no-service`".to_owned(),
        },
        Some("nothing" | "rescue") => {
            rescue::instead(served.and_then(|service| service.rescuer.as_deref()))
        }
        Some("offline") => "it stays offline: requests get 503 `offline`".to_owned(),
        Some(_) => "it goes on as it was".to_owned(),
    };
    let quoted = report.report.lines().map(|line| line.trim_end().to_owned()).collect();
    let finding =
        Finding::new(WRONG, refusal(&report.problems), format!("{file}, and {meanwhile}"));
    Finding { quoted, ..finding }
}

/// The main file's part of the last reload: problems of services' files are told with their services, and those of
/// HTTPS's files, which it names, by themselves.
fn main_file(document: &StatusDocument) -> Option<Finding> {
    let report = document.last_reload.as_ref()?.report.as_ref()?;
    let main = std::path::Path::new(&document.config);
    let of_https = |problem: &&Problem| {
        let mut certificates = document.certificates.iter();
        certificates.any(|it| it.problem.as_ref() == Some(problem))
            || document.troubles.iter().any(|trouble| trouble.contains(&problem.message))
    };
    report.problems.iter().find(|problem| problem.file == main && !of_https(problem))?;
    let text = format!(
        "{}, and what is served has not changed since; no process can start with it",
        document.config
    );
    let quoted = report.report.lines().map(|line| line.trim_end().to_owned()).collect();
    Some(Finding { quoted, ..Finding::new(WRONG, refusal(&report.problems), text) })
}

/// What there is to look at of a certificate, and what clients get meanwhile.
fn certificate(certificate: &CertificateDocument) -> Vec<Finding> {
    let CertificateDocument { names, problem, warnings, .. } = certificate;
    let problem = problem.as_ref().map(|problem| {
        let meanwhile = match names.first() {
            Some(name) => format!(
                "clients of {name} get the certificate from before, until the process ends: `watershed \
                 restart` is refused meanwhile"
            ),
            None => "clients get none of it".to_owned(),
        };
        let Problem { message, help, .. } = problem;
        let text = format!("{}: {message}, and {meanwhile}", problem.place());
        Finding::new(WRONG, "certificate", text).help(help)
    });
    problem.into_iter().chain(warnings.iter().map(warned)).collect()
}

/// What the reload did with a file that has problems.
fn refusal(problems: &[Problem]) -> &'static str {
    let is_transient = !problems.is_empty() && problems.iter().all(|it| it.is_transient);
    if is_transient { "cannot be read for now" } else { "rejected" }
}

fn warned(warning: &Problem) -> Finding {
    let Problem { message, help, .. } = warning;
    Finding::new(WAITING, "warning", format!("{}: {message}", warning.place())).help(help)
}
