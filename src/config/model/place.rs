//! Where in its file something is declared, for reports about what comes to light after the file is read.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use super::super::report::Problem;
use super::super::source::{Complaint, Spot};

/// A place in a file; or none, for what was made without one. All places are equal: what moves in its file stays the
/// same. A clone costs one reference count.
#[derive(Clone, Default)]
pub struct Place(Option<Arc<Spot>>);

impl Place {
    pub(crate) fn of(spot: Spot) -> Self {
        Self(Some(Arc::new(spot)))
    }

    /// Counts from 1.
    pub fn line(&self) -> Option<usize> {
        self.0.as_ref()?.line
    }

    /// The problem at the place, or of the file as a whole where the place is not known.
    pub fn problem(
        &self,
        file: &Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        let spot = self.0.as_ref().map_or_else(|| Spot::of_file(file), |spot| Spot::clone(spot));
        spot.problem(Complaint::new(message, help))
    }
}

impl fmt::Display for Place {
    /// The file and the line, as compilers write them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(spot) = &self.0 else { return Ok(()) };
        write!(f, "{}", spot.file.display())?;
        spot.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Place {
    /// Two configurations that are equal look equal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}
