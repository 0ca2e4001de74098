//! Finds the service of a command, in the files or in what a process says. Where it is not found, says what there is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::{EnvironmentDocument, ServiceDocument};
use crate::code::{Coded, ErrorCode};
use crate::config::{Config, Environment, Service, suggest};

/// Why the service that is meant cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("there is no environment `{name}`")]
    UnknownEnvironment { name: String, help: String },
    #[error("there is no service `{name}`{place}")]
    UnknownService {
        name: String,
        /// ` in the environment …`, if one was given.
        place: String,
        /// The services that there are.
        names: Vec<String>,
        /// Files that are wrong, so that it is not known which services they declare.
        wrong: Vec<PathBuf>,
        /// Whether the command can create it.
        creatable: bool,
    },
    #[error("{environments} each have a service `{name}`")]
    Ambiguous { name: String, environments: String },
}

impl Coded for SelectError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownEnvironment { .. } => ErrorCode::UnknownEnvironment,
            Self::UnknownService { .. } => ErrorCode::UnknownService,
            Self::Ambiguous { .. } => ErrorCode::AmbiguousService,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::UnknownEnvironment { help, .. } => help.clone(),
            Self::UnknownService { name, names, wrong, creatable, .. } => {
                let create = if *creatable { "; `--new-service` creates it" } else { "" };
                among(name, names, wrong) + create
            }
            Self::Ambiguous { .. } => "say which by `--environment NAME`".to_owned(),
        })
    }
}

impl SelectError {
    /// The same where files are wrong: any of them may declare the service.
    pub(super) fn beside<'a>(self, files: impl IntoIterator<Item = &'a Path>) -> Self {
        match self {
            Self::UnknownService { name, place, names, creatable, .. } => {
                let wrong = files.into_iter().map(Path::to_owned).collect();
                Self::UnknownService { name, place, names, wrong, creatable }
            }
            other => other,
        }
    }

    /// The same for a command that can create the service.
    pub(super) fn or_new(self) -> Self {
        match self {
            Self::UnknownService { name, place, names, wrong, .. } => {
                Self::UnknownService { name, place, names, wrong, creatable: true }
            }
            other => other,
        }
    }
}

/// What may be meant by the name of a service, and which services there are, as far as that is known.
fn among(name: &str, names: &[String], wrong: &[PathBuf]) -> String {
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    let files: Vec<_> = wrong.iter().map(|file| file.display().to_string()).collect();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let may = match files.as_slice() {
        [] => return suggest::among(name, names),
        [_] => "is wrong, and may declare it",
        _ => "are wrong, and may declare it",
    };
    names.sort_unstable();
    names.dedup();
    let right = match names.as_slice() {
        [] => "no service's file is right".to_owned(),
        names => {
            format!("the right files declare {}", suggest::list_at_most(suggest::AMONG_MAX, names))
        }
    };
    let files = suggest::list_at_most(suggest::AMONG_MAX, &files);
    let all = format!("{right}; {files} {may}: `watershed check` says why");
    suggest::help(suggest::closest(name, &names), &all)
}

/// An environment with services, from the files or from a process.
pub(super) trait Services {
    type Service;
    fn name(&self) -> &str;
    fn services(&self) -> &[Self::Service];
    fn name_of(service: &Self::Service) -> &str;
}

impl Services for Environment {
    type Service = Arc<Service>;

    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    fn name_of(service: &Arc<Service>) -> &str {
        service.name.as_str()
    }
}

impl Services for EnvironmentDocument {
    type Service = ServiceDocument;

    fn name(&self) -> &str {
        &self.name
    }

    fn services(&self) -> &[ServiceDocument] {
        &self.services
    }

    fn name_of(service: &ServiceDocument) -> &str {
        &service.name
    }
}

/// The declared service of a name. With an environment it must be in that one; without, it must be in one environment
/// only.
///
/// # Errors
///
/// Where there is none, or more than one.
pub(super) fn service<'a>(
    config: &'a Config,
    environment: Option<&str>,
    name: &str,
) -> Result<(&'a Environment, &'a Arc<Service>), SelectError> {
    service_among(&config.environments, environment, name)
}

/// The same among any environments.
///
/// # Errors
///
/// Where there is none, or more than one.
pub(super) fn service_among<'a, E: Services>(
    environments: &'a [E],
    environment: Option<&str>,
    name: &str,
) -> Result<(&'a E, &'a E::Service), SelectError> {
    let given = environment.map(|name| environment_among(environments, name)).transpose()?;
    let searched = || environments.iter().filter(|it| given.is_none_or(|given| is(*it, given)));
    let pairs = || searched().flat_map(|it| it.services().iter().map(move |own| (it, own)));
    let mut found = pairs().filter(|(_, service)| E::name_of(service) == name);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            let names = pairs().map(|(_, service)| E::name_of(service).to_owned()).collect();
            let place = given.map(|it| format!(" in the environment `{}`", it.name()));
            let (name, place) = (name.to_owned(), place.unwrap_or_default());
            Err(SelectError::UnknownService {
                name,
                place,
                names,
                wrong: Vec::new(),
                creatable: false,
            })
        }
        (Some((one, _)), Some((other, _))) => {
            let others = found.map(|(environment, _)| environment.name());
            let names: Vec<_> = [one.name(), other.name()].into_iter().chain(others).collect();
            let environments = suggest::list_at_most(suggest::AMONG_MAX, &names);
            Err(SelectError::Ambiguous { name: name.to_owned(), environments })
        }
    }
}

/// The environment of a name.
///
/// # Errors
///
/// Where there is none.
pub(super) fn environment_among<'a, E: Services>(
    environments: &'a [E],
    name: &str,
) -> Result<&'a E, SelectError> {
    environments.iter().find(|environment| environment.name() == name).ok_or_else(|| {
        let names = environments.iter().map(Services::name).collect();
        SelectError::UnknownEnvironment { name: name.to_owned(), help: suggest::among(name, names) }
    })
}

fn is<E: Services>(one: &E, other: &E) -> bool {
    one.name() == other.name()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str =
        "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n[traffic]\nlatest = true\n";

    /// Environments and the services of each.
    fn config(environments: &[(&str, &[&str])]) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let mut main = String::new();
        for (name, services) in environments {
            main.push_str(&format!(
                "[[environments]]\nname = \"{name}\"\ndomain = \"{name}.test\"\n\
                 services = \"{name}/*.toml\"\n"
            ));
            std::fs::create_dir(directory.path().join(name)).unwrap();
            for service in *services {
                let path = directory.path().join(name).join(service).with_extension("toml");
                std::fs::write(path, SERVICE).unwrap();
            }
        }
        let path = directory.path().join("watershed.toml");
        std::fs::write(&path, main).unwrap();
        crate::source::load(&path).unwrap()
    }

    #[track_caller]
    fn assert_error(config: &Config, environment: Option<&str>, name: &str, expected: &str) {
        assert_eq!(service(config, environment, name).unwrap_err().line(), expected);
    }

    #[test]
    fn a_service_is_found_wherever_it_is() {
        let config = config(&[("test", &["greeter", "lab"]), ("prod", &["greeter"])]);
        let (environment, lab) = service(&config, None, "lab").unwrap();
        assert_eq!((environment.name.as_str(), lab.name.as_str()), ("test", "lab"));
        let (environment, _) = service(&config, Some("prod"), "greeter").unwrap();
        assert_eq!(environment.name.as_str(), "prod");
    }

    #[test]
    fn what_is_in_several_environments_needs_one() {
        let config = config(&[("test", &["greeter"]), ("prod", &["greeter"]), ("dev", &[])]);
        let expected = "`test` and `prod` each have a service `greeter`; say which by \
                        `--environment NAME`";
        assert_error(&config, None, "greeter", expected);
    }

    #[test]
    fn a_slip_is_told_with_what_there_is() {
        let config = config(&[("test", &["greeter", "lab"]), ("prod", &["greeter"])]);
        let expected = "there is no service `greter`; did you mean `greeter`? There are \
                        `greeter` and `lab`";
        assert_error(&config, None, "greter", expected);
        let expected = "there is no service `lab` in the environment `prod`; `greeter` is the only \
                        one";
        assert_error(&config, Some("prod"), "lab", expected);
        let expected = "there is no environment `prd`; did you mean `prod`? There are `prod` and \
                        `test`";
        assert_error(&config, Some("prd"), "lab", expected);
    }

    #[test]
    fn of_many_services_ten_are_listed() {
        let names: Vec<_> = (0..30).map(|number| format!("service-{number:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let config = config(&[("test", &names)]);
        let error = service(&config, None, "x").unwrap_err().line();
        assert!(error.ends_with("`service-09` and 20 more"), "{error}");
    }

    #[test]
    fn beside_wrong_files_nobody_is_the_only_one() {
        let config = config(&[("test", &["greeter"])]);
        let one = Path::new("/shop.toml");
        let error = service(&config, None, "lab").unwrap_err();
        let help = error.clone().beside([one]).help().unwrap();
        assert_eq!(
            help,
            "the right files declare `greeter`; `/shop.toml` is wrong, and may declare it: \
             `watershed check` says why"
        );
        let help = error.beside([one, Path::new("/api.toml")]).help().unwrap();
        assert!(help.contains("`/shop.toml` and `/api.toml` are wrong"), "{help}");
        let config = self::config(&[("test", &[])]);
        let help = service(&config, None, "lab").unwrap_err().beside([one]).help().unwrap();
        assert!(help.starts_with("no service's file is right; "), "{help}");
    }

    #[test]
    fn where_nothing_is_declared_that_is_said() {
        let config = config(&[("test", &[])]);
        assert_error(&config, None, "lab", "there is no service `lab`; none is declared");
    }
}
