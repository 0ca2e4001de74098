//! Progress for a person who waits. A script's output and logs stay clean: nothing is drawn where standard error is no
//! terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const FRAMES: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ";
const FRAME: Duration = Duration::from_millis(80);

/// A spinner with the time since it appeared.
pub(super) struct Waiting(ProgressBar);

impl Waiting {
    /// Shows what the command waits for.
    pub(super) fn start(what: String) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        let bar = ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = style {
            bar.set_style(style.tick_chars(FRAMES));
        }
        bar.enable_steady_tick(FRAME);
        Self(bar)
    }

    /// Shows something else.
    pub(super) fn say(&self, what: String) {
        self.0.set_message(what);
    }

    /// Removes the spinner.
    pub(super) fn end(self) {
        self.0.finish_and_clear();
    }
}
