//! A new version, from what a request names to serve it.

use std::path::Path;
use std::time::Duration;

use super::act::{Act, Answer, malformed, note, percent, version};
use super::error::WriteError;
use super::inside::Inside;
use crate::api::{ByName, ChangeRequest, DeployRequest, How, Limit, Wanted, WantedWord};
use crate::config::{Digest, TargetAddress, VersionName, absolute, parse_target};
use crate::delivery::{Component, Declared, Given, sweep, takes, twice};
use crate::edit::LimitText;
use crate::rollout::{self, Control as _, Deployment, Portion};
use crate::versions::{StatusCode, StatusError};

/// How long the process may take to make the version.
const PATIENCE: Duration = Duration::from_secs(600);

/// A request whose every part can be what it is for.
#[derive(Debug)]
pub struct Order {
    pub name: VersionName,
    from: From,
    env: Vec<(String, String)>,
    limits: Vec<(String, LimitText)>,
    portion: Portion,
    how: How,
}

/// What is to serve the version.
#[derive(Debug)]
enum From {
    /// A path, as it was given.
    Component(String),
    Upload(Digest),
    Upstream(Vec<TargetAddress>),
}

impl Order {
    /// Reads a request, without a look at anything else.
    ///
    /// # Errors
    ///
    /// Where a part of it makes no sense.
    pub fn of(request: DeployRequest) -> Result<Self, WriteError> {
        let how = request.how();
        let from = from(&request)?;
        let DeployRequest { name, env, limits, traffic, .. } = request;
        let repeated = env.twice().or_else(|| limits.twice());
        if let Some(name) = repeated {
            return Err(wrong(&format!("`{name}` is given twice")));
        }
        if matches!(from, From::Upstream(_)) && !env.0.is_empty() {
            return Err(wrong("an upstream has no `env`: it is not started here"));
        }
        let name = version::<DeployRequest>(&name)?;
        let portion = match traffic {
            Wanted::Word(WantedWord::Keep) => Portion::Hold,
            Wanted::Word(WantedWord::All) => Portion::All,
            Wanted::Percent(share) => Portion::Share(percent::<DeployRequest>(&name, share)?),
        };
        let (env, limits) = (env.0, texts(limits));
        Ok(Self { name, from, env, limits, portion, how })
    }

    /// Reads the component, or takes the targets.
    fn given(from: From, inside: &Inside) -> Result<Given, WriteError> {
        match from {
            From::Upstream(targets) => Ok(Given::Upstream(targets)),
            From::Component(path) => {
                let component = Component::read(absolute(inside.root(), Path::new(&path)))?;
                Ok(Given::Component(component.map_err(|error| component_error(&path, error))?))
            }
            From::Upload(digest) => {
                let unknown = || WriteError::UnknownUpload(digest.to_string());
                let component = Component::read(inside.uploads().path(&digest))?;
                let component = component.map_err(|error| match error.code {
                    StatusCode::NotFound => unknown(),
                    _ => component_error(&digest.to_string(), error),
                })?;
                match component.digest() == digest {
                    true => Ok(Given::Component(component)),
                    false => Err(unknown()),
                }
            }
        }
    }
}

fn component_error(given: &str, mut error: StatusError) -> WriteError {
    if error.code == StatusCode::NotFound {
        error.suggestion = "correct `component`: a path on the machine of the process, absolute or from the \
                            directory of the main file";
    }
    WriteError::Component { given: given.to_owned(), error: Box::new(error) }
}

fn wrong(reason: &str) -> WriteError {
    malformed::<DeployRequest>(reason)
}

fn from(request: &DeployRequest) -> Result<From, WriteError> {
    match (&request.component, &request.upload, &request.upstream) {
        (Some(path), None, None) if !path.is_empty() => Ok(From::Component(path.clone())),
        (None, Some(digest), None) => {
            let digest = digest.parse().map_err(|error| wrong(&format!("`upload`: {error}")))?;
            Ok(From::Upload(digest))
        }
        (None, None, Some(targets)) if !targets.is_empty() => {
            let targets = targets.iter().map(|target| {
                parse_target(target).map_err(|error| wrong(&format!("`upstream`: {error}")))
            });
            let targets = targets.collect::<Result<Vec<_>, _>>()?;
            match twice(&targets) {
                Some(target) => Err(wrong(&format!("`upstream`: {target} is given twice"))),
                None => Ok(From::Upstream(targets)),
            }
        }
        _ => Err(wrong("it names not exactly one of `component`, `upload` and `upstream`")),
    }
}

fn texts(ByName(limits): ByName<Limit>) -> Vec<(String, LimitText)> {
    let text = |(key, limit)| match limit {
        Limit::Number(number) => (key, LimitText::Number(number)),
        Limit::Text(text) => (key, LimitText::Text(text)),
    };
    limits.into_iter().map(text).collect()
}

impl Act for DeployRequest {
    const HELP: &'static str = "send a JSON object with `name`, and one of `component`, `upload` and \
                                `upstream`; it may have `env`, `limits`, `traffic` and `remark`";

    fn act(self, inside: &mut Inside) -> Result<Answer, WriteError> {
        let Order { name, from, env, limits, portion, how } = Order::of(self)?;
        let given = Order::given(from, inside)?;
        let silent = given.silent()?;
        let warnings = given.warnings(&silent);
        let portion = inside.view().portion(portion);
        if given.is_dead(&silent) && !how.force && takes(inside.view(), portion, None) {
            return Err(WriteError::NoTargetAnswers(name.to_string()));
        }
        let declared = Declared {
            service: inside.service().clone(),
            name: name.clone(),
            remark: how.remark.clone(),
            env,
            limits,
            in_place: false,
        };
        let (version, pending) = given.version(declared, inside.copies(), None);
        inside.copy_with(pending);
        let (dry_run, forced) = (how.dry_run, how.force);
        let command = format!("watershed deploy {} {name} --traffic {portion}", inside.service());
        let deployment = Deployment {
            version,
            portion,
            replaces: false,
            creates: false,
            forced,
            keeps_failed: false,
            patience: PATIENCE,
            note: note(command, how),
        };
        if dry_run {
            let edit = rollout::proposal(inside, &deployment)?;
            return inside.would_with(&edit, |would| would.warnings = warnings);
        }
        let done = rollout::deploy(inside, &deployment).inspect_err(|_| forget(inside, &name))?;
        let copies = sweep(inside, &[]);
        inside.done_with("normal", &[name], &done, |done| {
            (done.copies, done.warnings) = (copies, warnings);
        })
    }
}

/// Deletes the copy that was made for a version that is not deployed, unless the version stays declared.
fn forget(inside: &Inside, version: &VersionName) {
    sweep(inside, &Vec::from_iter(inside.copied(version)));
}
