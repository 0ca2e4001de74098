//! Components that can call others and may not: they import the client of `wasi:http`, and their versions list nothing
//! under `outbound`. Some toolchains import it for every component, so this is a warning.

use std::collections::HashMap;
use std::path::Path;

use crate::config::{Config, Digest, Problem};
use crate::source::{LARGEST_COMPONENT, read_file};
use crate::versions::{declared, outgoing_import};

/// A warning for each version whose component could call out.
pub fn warnings(config: &Config) -> Vec<Problem> {
    let mut imports: HashMap<&Path, Option<(String, Digest)>> = HashMap::new();
    let mut warnings = Vec::new();
    for (_, service, spec) in declared(config) {
        let Some(guest) = spec.guest().filter(|guest| guest.outbound.is_empty()) else { continue };
        let import = imports.entry(&guest.component).or_insert_with(|| {
            // What is wrong with the file is told elsewhere.
            let bytes = read_file(&guest.component, LARGEST_COMPONENT).ok()?;
            Some((outgoing_import(&bytes)?.to_owned(), Digest::of(&bytes)))
        });
        let Some((import, digest)) = import else { continue };
        // Another component than the declared one is not served.
        if guest.digest.is_some_and(|declared| declared != *digest) {
            continue;
        }
        let message = format!(
            "the component of {} of {} imports {import}, and may reach nothing",
            spec.name, service.name
        );
        let help = "if it calls others, list them: `outbound = [\"https://api.example.com\"]`";
        warnings.push(spec.place.problem(&service.file, message, help));
    }
    // Two environments may share a file.
    warnings.dedup();
    warnings
}
