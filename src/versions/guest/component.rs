//! The file of a component: read within bounds, and held against the digest that is declared.

use std::io;
use std::path::Path;

use super::super::status::{StatusCode, StatusError};
use crate::config::{Digest, GuestSpec};
use crate::transient::is_transient;

/// Bytes of the largest component that is read.
const LARGEST_COMPONENT: u64 = 256 << 20;

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
    let path = component.display();
    let unreadable = |error: io::Error| match error.kind() {
        _ if is_transient(&error) => {
            let detail = format!("cannot read {path} for now: {error}");
            StatusError::transient(StatusCode::Unreadable, detail, &error)
        }
        io::ErrorKind::NotFound => {
            StatusError::new(StatusCode::NotFound, format!("there is no file {path}"))
        }
        _ => StatusError::new(StatusCode::Unreadable, format!("cannot read {path}: {error}")),
    };
    // A device or a pipe could be read for ever.
    let found = tokio::fs::metadata(component).await.map_err(unreadable)?;
    if !found.is_file() {
        let detail = format!("{path} is not a regular file");
        return Err(StatusError::new(StatusCode::NotAComponent, detail));
    }
    if found.len() > LARGEST_COMPONENT {
        let detail = format!("{path} is larger than {} MiB", LARGEST_COMPONENT >> 20);
        return Err(StatusError::new(StatusCode::NotAComponent, detail));
    }
    tokio::fs::read(component).await.map_err(unreadable)
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
