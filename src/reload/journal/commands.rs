//! The commands that have changed services' files: whose edits the changes come of.

use super::pending::{Command, amend};
use super::{Journal, blocking};
use crate::history::Attribution;
use crate::versions::Snapshot;

/// How many commands are known at most whose edits may cause changes. The oldest are forgotten first.
const COMMANDS_MAX: usize = 100;

impl Journal {
    /// Notes that commands have changed files and that the reload that they requested begins now.
    pub fn expect(&mut self, attributions: Vec<Attribution>) {
        // Several commands may have changed one file in turn, and tell of it in another order: its text tells whose edit
        // is served.
        for attribution in &attributions {
            self.commands.retain(|command| !command.is_of_same(attribution));
        }
        let command = |attribution| Command { attribution, is_new: true };
        self.commands.extend(attributions.into_iter().map(command));
        let surplus = self.commands.len().saturating_sub(COMMANDS_MAX);
        self.commands.drain(..surplus);
    }

    /// Ends the reload that commands requested. If the watcher or the next command was faster, their changes are
    /// recorded as file edits, and these records get the commands as authors.
    pub async fn finish(&mut self, now: &Snapshot) {
        let late: Vec<_> = self
            .commands
            .iter()
            .filter(|command| command.is_new)
            .map(|command| command.attribution.clone())
            .collect();
        if let Some(history) = self.history.clone().filter(|_| !late.is_empty()) {
            let count = late.len();
            let amended = blocking(move || amend(&history, &late)).await;
            self.told(amended, count);
        }
        for command in &mut self.commands {
            command.is_new = false;
        }
        self.settle(now);
    }

    /// Forgets commands whose edits can cause no more changes.
    pub fn settle(&mut self, now: &Snapshot) {
        self.commands.retain(|command| {
            let entry = command.key().and_then(|key| now.get(&key));
            command.is_new || entry.is_some_and(|entry| !entry.is_settled())
        });
    }
}
