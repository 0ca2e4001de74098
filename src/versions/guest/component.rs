//! The file of a component: read within bounds, and held against the digest that is declared.

use std::path::Path;

use super::super::status::{StatusCode, StatusError};
use crate::config::{Digest, GuestSpec};
use crate::source::{LARGEST_COMPONENT, ReadError, read_file};

/// The digest of a component as its file is now. Nothing is compiled.
///
/// # Errors
///
/// Where there is no such file, or it cannot be read.
pub async fn digest_at(component: &Path) -> Result<Digest, StatusError> {
    Ok(Digest::of(read(component).await?))
}

/// Reads a component.
///
/// # Errors
///
/// Where there is no such file, it cannot be read, or it is too large to be a component.
pub async fn read(component: &Path) -> Result<Vec<u8>, StatusError> {
    let path = component.to_owned();
    let read = tokio::task::spawn_blocking(move || read_file(&path, LARGEST_COMPONENT));
    match read.await {
        Ok(read) => read.map_err(|error| unreadable(component, &error)),
        Err(panicked) => {
            Err(StatusError::new(StatusCode::Internal, format!("reading it: {panicked}")))
        }
    }
}

fn unreadable(component: &Path, error: &ReadError) -> StatusError {
    let path = component.display();
    if let Some(error) = error.transient() {
        let detail = format!("cannot read {path} for now: {error}");
        return StatusError::transient(StatusCode::Unreadable, detail, error);
    }
    match error {
        ReadError::Directory => {
            let detail = format!("{path} is a directory");
            let suggestion = "name the file of the component in it";
            StatusError { suggestion, ..StatusError::new(StatusCode::NotAComponent, detail) }
        }
        ReadError::NotRegular => {
            let detail = format!("{path} is not a regular file");
            StatusError::new(StatusCode::NotAComponent, detail)
        }
        ReadError::TooLarge { most } => {
            let detail = format!("{path} is larger than {} MiB", most >> 20);
            StatusError::new(StatusCode::NotAComponent, detail)
        }
        error if error.is_missing() => {
            StatusError::new(StatusCode::NotFound, format!("there is no file {path}"))
        }
        ReadError::Io(error) => {
            StatusError::new(StatusCode::Unreadable, format!("cannot read {path}: {error}"))
        }
    }
}

/// Compares a component's digest with the declared one, if one is declared.
///
/// # Errors
///
/// Where they differ.
pub fn check_digest(guest: &GuestSpec, found: Digest) -> Result<(), StatusError> {
    match &guest.digest {
        Some(declared) if *declared != found => Err(StatusError::new(
            StatusCode::DigestMismatch,
            format!("the file's digest is {found}, and {declared} is declared"),
        )),
        _ => Ok(()),
    }
}
