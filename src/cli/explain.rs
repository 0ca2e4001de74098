//! `watershed explain`: which version a request would get, and why.

mod ramp;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::common::{Common, write_json};
use super::remote::Remote;
use super::table::harmless_lines;
use super::target::Target;
use super::{CliError, complete};
use crate::api::{Chance, ExplainQuery, Explanation, RateStep, StickyStep, Wish};
use crate::config::ServiceName;
use crate::policy::PolicyInputs;
use crate::policy::explain::{Explainer, Question};
use crate::policy::{Serve, Verdict};
use crate::versions::secret_lock;
use ramp::Ramp;

pub(super) use ramp::Moves;
pub use ramp::RampError;

const EXAMPLES: &str = "\
Examples:
  watershed explain greeter                  a request without anything
  watershed explain greeter --path /app/x --header x-user:ann
                                             one of Ann's
  watershed explain greeter --query lane=beta --cookie uid=7 --client 10.1.2.3
  watershed explain greeter --header host:v2--greeter.localhost
                                             by a preview domain
  watershed explain greeter --key ann --ramp v2=0..100
                                             from which share on Ann gets v2

Nothing is sent to the service. Where a process serves the files, it is asked what it would do; where
none runs, or with --offline, the files are read as if all versions were ready whose components are
there. With --admin, that process is asked, and only --ramp reads files of this machine.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// The request's method [default: GET]
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Its path, with a query or without [default: /]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// A header of the request; may be given more than once.
    #[arg(long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
    /// A query parameter of the request, not encoded; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE")]
    query: Vec<String>,
    /// A cookie of the request; may be given more than once.
    #[arg(long = "cookie", value_name = "NAME=VALUE")]
    cookies: Vec<String>,
    /// The address that the request comes from.
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// The sticky key of a user, for --ramp.
    #[arg(long, value_name = "KEY", requires = "ramp")]
    key: Option<String>,
    /// Say at which percentage of a version the user of --key moves to it. The others keep their proportions.
    #[arg(long, value_name = "VERSION=FROM..TO", requires = "key", value_parser = Ramp::parse, add = complete::ramps())]
    #[arg(conflicts_with_all = ["method", "path", "headers", "query", "cookies", "client"])]
    ramp: Option<Ramp>,
    /// Explain by the files, and ask no process.
    #[arg(long, conflicts_with_all = ["admin", "token_file"])]
    offline: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn explain(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, key, ramp, offline, common, .. } = arguments;
    if let Some(remote) = common.remote(path)?.filter(|_| ramp.is_none()) {
        let query = arguments.query();
        // A wrong question is reported without asking a process.
        Question::new(&query)?;
        return show(&remote.explain(service.as_str(), query)?, common.json);
    }
    let mut target = match offline {
        true => Target::find_offline(path, common, service.as_str())?,
        false => match Target::find(path, common, service.as_str()) {
            Ok(target) => target,
            Err(error) => match arguments.served(path, &error) {
                Some(explanation) => return show(&explanation, common.json),
                None => return Err(error),
            },
        },
    };
    let mut out = std::io::stdout().lock();
    if let (Some(key), Some(ramp)) = (key, ramp) {
        let moves = ramp.of(&target, key)?;
        match common.json {
            true => write_json(&mut out, &moves)?,
            false => write!(out, "{moves}")?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let query = arguments.query();
    // A wrong question is reported without asking a process.
    let question = Question::new(&query)?;
    let explanation = match target.ask_to_explain(query)? {
        Some(explanation) => explanation,
        None => {
            let held = target.view().verdict().held;
            let question = question.behind(&target.config()?.server.trusted_proxies);
            let by_files = by_files(&target, |explainer| explainer.explain(&question));
            // Only the process that serves has counted.
            let limit = by_files.rate_limit.clone();
            let rate_limit = limit.map(|limit| RateStep { left: None, ..limit });
            Explanation { held, rate_limit, ..by_files }
        }
    };
    drop(out);
    show(&explanation, common.json)
}

fn show(explanation: &Explanation, json: bool) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    match json {
        true => write_json(&mut out, explanation)?,
        false => write!(out, "{}", text(explanation)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// What the process would do whose files are wrong by now: what it serves is as it was.
    fn served(&self, path: &Path, error: &CliError) -> Option<Explanation> {
        let Self { service, ramp, common, .. } = self;
        if !matches!(error, CliError::Broken(_)) || ramp.is_some() {
            return None;
        }
        let query = self.query();
        Question::new(&query).ok()?;
        let process = common.serving(path)?;
        let remote = Remote { process, environment: common.environment.clone() };
        // Where it does not serve the service, what is wrong with the files says more.
        remote.explain(service.as_str(), query).ok()
    }

    fn query(&self) -> ExplainQuery {
        let Self { method, path, headers, query, cookies, client, .. } = self;
        ExplainQuery {
            environment: None,
            service: None,
            method: method.clone(),
            path: path.clone(),
            headers: headers.clone(),
            query: query.clone(),
            cookies: cookies.clone(),
            client: client.clone(),
        }
    }
}

/// Explains the request as a process would that starts with the files.
fn by_files<T>(target: &Target, explain: impl FnOnce(&Explainer<'_>) -> T) -> T {
    let view = target.view();
    let service = &*view.service;
    let Verdict { serve: Serve::Declared(base) | Serve::Before(base), eligibilities, .. } =
        view.verdict();
    let environment = view.environment.as_str();
    let inputs = PolicyInputs { environment, service, eligibilities: &eligibilities, base: &base };
    let secret = service.policy.overrides.as_ref().and_then(|it| it.secret.as_ref());
    let policy = inputs.policy(secret.map(secret_lock).unwrap_or_default(), None);
    let rate_limit = service.policy.rate_limit.as_ref();
    let now = Instant::now();
    explain(&Explainer { inputs, policy: &policy, rate_limit, yielding: &[], now })
}

/// The explanation for people. Names, rules and keys are as a file, a process or the command line has them.
fn text(explanation: &Explanation) -> Result<String, std::io::Error> {
    let mut out = Vec::new();
    print(&mut out, explanation)?;
    Ok(harmless_lines(&String::from_utf8_lossy(&out)))
}

fn print(out: &mut impl Write, explanation: &Explanation) -> Result<(), std::io::Error> {
    let Explanation {
        service,
        generation,
        client,
        decision,
        distribution,
        yielding,
        failure,
        held,
        ..
    } = explanation;
    let from = match generation {
        Some(generation) => format!("generation {generation}"),
        None => "the files".to_owned(),
    };
    writeln!(out, "{service}, by {from}: {}", outcome(explanation))?;
    if let Some(client) = client {
        writeln!(out, "  client: {client}, whom a trusted proxy names")?;
    }
    for step in steps(explanation) {
        writeln!(out, "  {step}")?;
    }
    match (failure, distribution.as_slice()) {
        (Some(_), _) | (None, [_]) => {}
        (None, several) => {
            for chance in several {
                writeln!(out, "  {decision}: {} %  {}", chance.share, chance.version)?;
            }
        }
    }
    for chance in distribution {
        backend(out, chance)?;
    }
    for Chance { version, share, .. } in yielding {
        let goes = format!("its {share} % goes to the others (`when-unhealthy`)");
        writeln!(out, "  unhealthy: no target of {version} takes requests now, so {goes}")?;
    }
    if let Some(held) = held {
        writeln!(out, "  held: {held}")?;
    }
    Ok(())
}

/// How many targets are named.
const NAMED: usize = 5;

/// The upstream of a version, if it has one.
fn backend(out: &mut impl Write, chance: &Chance) -> Result<(), std::io::Error> {
    let Chance { version, share: _, upstream, unhealthy } = chance;
    if !upstream.is_empty() {
        let named: Vec<_> = upstream.iter().take(NAMED).map(String::as_str).collect();
        let more = match upstream.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        writeln!(out, "  upstream: {version} is {}{more}", named.join(", "))?;
    }
    match unhealthy {
        true => writeln!(out, "  unhealthy: no target of {version} takes requests now"),
        false => Ok(()),
    }
}

fn outcome(explanation: &Explanation) -> String {
    let Explanation { decision, version, failure, .. } = explanation;
    match (failure, version) {
        // Nothing was drawn.
        (Some(code), _) if code == "offline" => format!("no version, {code}"),
        (Some(code), _) => format!("no version, {code} ({decision})"),
        (None, Some(version)) => format!("{version} ({decision})"),
        (None, None) => format!("one of several, by their shares ({decision})"),
    }
}

/// Prints the steps of the decision.
fn steps(explanation: &Explanation) -> Vec<String> {
    let limit = explanation.rate_limit.iter().map(rate_limit);
    let wish = explanation.wish.iter().map(|wish| {
        let Wish { version, result, why } = wish;
        format!("override {version:?}: {result}, {why}")
    });
    let rules = explanation.rules.iter().map(|rule| format!("rule {}: {}", rule.name, rule.why));
    let sticky = explanation.sticky.iter().map(sticky);
    limit.chain(wish).chain(rules).chain(sticky).collect()
}

fn rate_limit(step: &RateStep) -> String {
    let RateStep { key, rate, burst, by_address, left } = step;
    let by = match by_address {
        true => format!("{key}, without which the client's address counts"),
        false => key.clone(),
    };
    let left = match left {
        None => String::new(),
        Some(0) => ": nothing is left now, so it gets 429 `rate-limit`".to_owned(),
        Some(left) => format!(": {left} left"),
    };
    format!("rate limit {rate}, burst {burst}, by {by}{left}")
}

fn sticky(step: &StickyStep) -> String {
    let StickyStep { key, mode, bucket, hash, pinned } = step;
    match (bucket.zip(hash.as_ref()), pinned) {
        (None, _) if key == "generated" => {
            format!("sticky {key} ({mode}): no key yet, one is made at random")
        }
        (None, _) => format!("sticky {key} ({mode}): the request has no key"),
        (Some((bucket, hash)), None) => {
            format!("sticky {key} ({mode}): bucket {bucket} of 10,000, hash {hash}")
        }
        (Some((bucket, hash)), Some(version)) => format!(
            "sticky {key} ({mode}): bucket {bucket} of 10,000, hash {hash}, pinned to {version}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_moves_no_cursor() {
        let explanation = serde_json::json!({
            "environment": "default", "service": "shop\u{1b}[2J", "decision": "latest", "version": "v1\u{202e}",
            "distribution": [], "held": "a\rb",
        });
        let explanation = serde_json::from_value(explanation).unwrap();
        let expected = "shop\\u{1b}[2J, by the files: v1\\u{202e} (latest)\n  held: a\\rb\n";
        assert_eq!(text(&explanation).unwrap(), expected);
    }
}
