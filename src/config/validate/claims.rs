//! Names that only one may have: of environments, of services, of versions, and domains. Remembers
//! who had one first, so that the second can be told.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

use super::super::report::short_path;
use super::super::source::{Complaint, Findings};

/// Who has which name.
#[derive(Default)]
pub struct Claims {
    taken: HashMap<String, Place>,
}

struct Place {
    file: PathBuf,
    line: Option<usize>,
}

impl Claims {
    /// Takes a name for a place in a file, or reports who has it already. `what` says what kind of
    /// name it is. Returns whether the name was free.
    pub fn take(
        &mut self,
        at: &mut Findings<'_>,
        span: Range<usize>,
        name: &str,
        what: &str,
    ) -> bool {
        let taken = self.try_take(at, Some(&span), name, what);
        at.check(span, taken).is_some()
    }

    /// The same for a name that comes from the file as a whole.
    pub fn take_for_file(&mut self, at: &mut Findings<'_>, name: &str, what: &str) -> bool {
        let taken = self.try_take(at, None, name, what);
        taken.map_err(|complaint| at.add_to_file(complaint)).is_ok()
    }

    fn try_take(
        &mut self,
        at: &Findings<'_>,
        span: Option<&Range<usize>>,
        name: &str,
        what: &str,
    ) -> Result<(), Complaint> {
        if let Some(first) = self.taken.get(name) {
            let place = first.seen_from(at);
            let message = format!("`{name}` is already {what}, {place}");
            return Err(Complaint::new(message, "choose another one, or remove one of the two"));
        }
        let place = Place {
            file: at.source.path.clone(),
            line: span.map(|span| at.source.line_of(span.start)),
        };
        self.taken.insert(name.to_owned(), place);
        Ok(())
    }
}

impl Place {
    fn seen_from(&self, at: &Findings<'_>) -> String {
        let file = short_path(&self.file).display();
        match self.line {
            Some(line) if self.file == at.source.path => format!("on line {line}"),
            Some(line) => format!("in {file} on line {line}"),
            None => format!("in {file}"),
        }
    }
}
