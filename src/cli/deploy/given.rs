//! What the command line names to serve a new version.

use std::path::Path;

use super::{Arguments, CliError};
use crate::config::{self, absolute};
use crate::delivery::{Component, Declared, Given, twice};
use crate::versions::{StatusCode, StatusError};

/// What is to serve the version of a command.
pub fn given(arguments: &Arguments) -> Result<Given, CliError> {
    let Arguments { component, upstream, .. } = arguments;
    match component {
        Some(component) => read(component),
        None => match twice(upstream) {
            Some(target) => Err(CliError::TargetTwice(target.to_string())),
            None => Ok(Given::Upstream(upstream.clone())),
        },
    }
}

fn read(path: &Path) -> Result<Given, CliError> {
    let given = path.display().to_string();
    let path = absolute(Path::new("/"), &std::path::absolute(path)?);
    let component = Component::read(path)?;
    Ok(Given::Component(component.map_err(|error| as_given(error, &given))?))
}

impl Arguments {
    /// What is declared of the version beside what serves it.
    pub fn declared(&self) -> Declared {
        Declared {
            service: self.service.clone(),
            name: self.version.clone(),
            remark: self.remark.clone(),
            env: self.env.clone(),
            limits: Vec::new(),
            in_place: self.in_place,
        }
    }
}

/// An error about a path as it was given on the command line.
fn as_given(error: StatusError, given: &str) -> StatusError {
    match (error.code, config::elsewhere(given)) {
        (StatusCode::NotFound, Some(detail)) => {
            let suggestion = "a component is a file: fetch it (from a registry with `wkg oci pull` or `oras pull`), and \
                              give its path; an HTTP service is given by `--upstream HOST:PORT`";
            StatusError { detail, suggestion, ..error }
        }
        (StatusCode::NotFound, None) => {
            let suggestion =
                "build the component, or correct the path; it is relative to the current directory";
            StatusError { suggestion, ..error }
        }
        _ => error,
    }
}
