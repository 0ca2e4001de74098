//! What somebody left by a rollback. The next rollbacks do not go back there by themselves: whoever
//! rolls back twice wants to be further away from what was bad, and not back at it.
//!
//! A state is all that decided what was served: the shares, and what the versions with traffic were
//! made of. It counts as left from the rollback that went away from it until somebody serves it again:
//! by an edit, by a promotion, or by a rollback that names it.

use super::decision::State;
use crate::history::{Parts, Record};

/// What was served right before a rollback.
#[derive(Debug)]
pub struct Left<'a> {
    pub state: State<'a>,
    /// When the rollback was recorded, in milliseconds since 1970.
    pub at: u64,
    /// The generation of the rollback.
    pub by: u64,
}

/// Everything that was left and that nobody has served since. The records are those of one service,
/// newest first; of what came before them nothing is known.
pub fn left<'a>(records: &'a [Record], parts: &'a Parts) -> Vec<Left<'a>> {
    let mut all: Vec<Left<'a>> = Vec::new();
    let mut rest = records;
    let mut steps = Vec::new();
    while let [record, older @ ..] = rest {
        steps.push((record, older));
        rest = older;
    }
    for (record, older) in steps.into_iter().rev() {
        if let Some(before) = served_before(record, older) {
            let state = State::of(before, parts);
            all.push(Left { state, at: record.at, by: record.generation });
        }
        let served = State::of(record, parts);
        all.retain(|left| !left.state.is_like(&served));
    }
    all
}

/// What was served before a rollback; `None` of what is none. A rollback has several records where its
/// versions had to be made first.
fn served_before<'a>(record: &Record, older: &'a [Record]) -> Option<&'a Record> {
    let is_of_same = |other: &&Record| {
        (other.restores, &other.author, &other.file_digest)
            == (record.restores, &record.author, &record.file_digest)
    };
    record.is_rollback().then(|| older.iter().find(|other| !is_of_same(other))).flatten()
}
