//! The documentation, held to what it says.
//!
//! Every ```` ```console ```` block of every page is run, in order, in one shell a page, as a reader
//! would: in a copy of `config/`, with one process that serves. What a command prints must be what the
//! page says it prints. `WATERSHED_BLESS=1` writes what was printed into the page instead,
//! where the two differ; give it twice after a page has got commands in its middle.
//!
//! A page needs what a reader needs: bash, curl, grep, sed, sort and uniq.
//!
//! What the runner does that a reader does not:
//!
//! - `make run` runs the built binary. It and `watershed run` go on in the background; only the lines
//!   that the page shows must come on its standard output, and the page goes on once they have.
//! - Lines that the command itself does not print must come in the log of the process meanwhile.
//! - A ```` ```toml ```` block whose first line is `# PATH` is written to that file; `# add to PATH`
//!   appends it.
//! - After such a block, and after `sed -i`, the process is asked to read the files, since the next
//!   command comes sooner than a reader could write it.
//! - The shipped components are compiled beforehand.
//! - The ports 8080 and 9090 are others, which nobody else has.
//! - `~` is the directory of the copy, and it is shown as `/home/ana`; `USER` is `ana`.
//!
//! What need not be the same is listed in `likeness`: times, digests, measured figures, counts of random
//! decisions within what chance explains, and generation numbers as long as they are in the same order.

mod blocks;
mod keys;
mod likeness;
mod pages;
mod reference;
mod session;

use std::path::{Path, PathBuf};

/// A file or directory of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether pages and golden files are written anew, and not compared.
fn blesses() -> bool {
    std::env::var_os("WATERSHED_BLESS").is_some()
}
