//! The documentation must do what it says.
//!
//! Every ```` ```console ```` block of every page is run, in order, in one shell a page, as a reader
//! would: in a copy of `config/`, with one process that serves. What a command prints must be what the
//! page says it prints. `WATERSHED_BLESS=1` writes the output into the page instead, where the two
//! differ; run it twice after adding commands in the middle of a page.
//!
//! The tests need the reader's tools: bash, curl, grep, python3, sed, sort and uniq.
//!
//! The runner differs from a reader in this:
//!
//! - `make run` runs the built binary. `make run` and `watershed run` go on in the background; only the
//!   lines that the page shows must appear on their standard output, and then the page goes on.
//! - Lines that the command itself does not print must appear in the log of the process meanwhile.
//! - A ```` ```toml ```` block whose first line is `# PATH` is written to that file; `# add to PATH`
//!   appends it, and the lines of `# in PATH` must be in the file already.
//! - A block that is not run is one after `<!-- not run: REASON -->`.
//! - After such a block, and after `sed -i`, the process is asked to read the files, because the next
//!   command comes sooner than a reader could type it.
//! - The shipped components are compiled beforehand.
//! - After a command that starts `http.server`, the runner waits until that listens.
//! - The ports 8080, 9090, 8443 and 9001 are replaced by free ones.
//! - `~` is the directory of the copy, and it is shown as `/home/ana`; `USER` is `ana`.
//!
//! `likeness` lists what may differ: times, digests, measured figures, counts of random
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
