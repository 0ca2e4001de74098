//! The history by itself: what is kept, what is dropped, and what becomes of its file.

mod damage;

use std::fs;

use tempfile::TempDir;
use toml::{Table, Value};

use super::*;
use crate::code::Coded;

const DAY: u64 = 24 * 3600 * 1000;
/// A time of records, long after 1970.
const NOW: u64 = 20_000 * DAY;
const FILE_DIGEST: &str = "sha256:aa";

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(directory: &TempDir) -> History {
    History::open(directory.path()).unwrap()
}

fn edit(generation: u64, service: &str) -> Record {
    let share = |share| vec![Share { version: "v1".to_owned(), share }];
    let version = RecordedVersion {
        name: "v1".to_owned(),
        status: "normal".to_owned(),
        digest: Some("sha256:00".to_owned()),
    };
    Record {
        generation,
        at: NOW,
        environment: "default".to_owned(),
        service: service.to_owned(),
        author: Author::FileEdit,
        before: share(12.5),
        after: share(100.0),
        served: None,
        versions: vec![version],
        remark: None,
        outcome: RecordOutcome::Held { why: "v2 gets 5 % once it is normal".to_owned() },
        restores: None,
        file_digest: Some(FILE_DIGEST.to_owned()),
    }
}

fn command() -> Author {
    Author::Command { user: "ada".to_owned(), command: "watershed deploy".to_owned() }
}

fn generations(history: &History, service: &str) -> Vec<u64> {
    let records = history.of("default", service, usize::MAX).unwrap();
    records.iter().map(|record| record.generation).collect()
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_recorded_is_there_after_opening_again() {
    let directory = directory();
    let history = open(&directory);
    assert_eq!(history.last_generation().unwrap(), 0);
    assert_eq!(history.of("default", "shop", 10).unwrap(), []);
    let removed = edit(7, "shop").removed(8);
    history.record(&[edit(7, "shop"), edit(7, "other")]).unwrap();
    history.record(std::slice::from_ref(&removed)).unwrap();
    drop(history);
    let history = History::read(directory.path()).unwrap().unwrap();
    assert_eq!(history.of("default", "shop", 10).unwrap(), [removed, edit(7, "shop")]);
    assert_eq!(generations(&history, "other"), [7]);
    assert_eq!(history.of("default", "shop", 1).unwrap().len(), 1);
    assert_eq!(history.of("test", "shop", 10).unwrap(), []);
    assert_eq!(history.last_generation().unwrap(), 8);
}

#[test]
fn a_generation_is_kept_without_records_and_never_shrinks() {
    let directory = directory();
    let history = open(&directory);
    history.reach(9).unwrap();
    history.record(&[edit(4, "shop")]).unwrap();
    history.record(&[]).unwrap();
    drop(history);
    assert_eq!(open(&directory).last_generation().unwrap(), 9);
}

#[test]
fn services_are_found_however_many_records_they_have() {
    let directory = directory();
    let history = open(&directory);
    assert_eq!(history.services().unwrap(), []);
    let prod = Record { environment: "prod".to_owned(), ..edit(1, "shop") };
    let records: Vec<_> = (1..=30).flat_map(|it| [edit(it, "shop"), edit(it, "shop-2")]).collect();
    history.record(&records).unwrap();
    history.record(&[prod]).unwrap();
    let found = history.services().unwrap();
    let found: Vec<_> = found.iter().map(|(one, other)| (one.as_str(), other.as_str())).collect();
    assert_eq!(found, [("default", "shop"), ("default", "shop-2"), ("prod", "shop")]);
}

#[test]
fn the_oldest_records_of_a_service_go_when_there_are_too_many() {
    let directory = directory();
    let history = open(&directory);
    history.record(&[edit(1, "other")]).unwrap();
    let records: Vec<_> = (1..=1_005).map(|generation| edit(generation, "shop")).collect();
    history.record(&records).unwrap();
    assert_eq!(generations(&history, "shop"), (6..=1_005).rev().collect::<Vec<_>>());
    history.record(&[edit(1_006, "shop")]).unwrap();
    assert_eq!(generations(&history, "shop"), (7..=1_006).rev().collect::<Vec<_>>());
    assert_eq!(generations(&history, "other"), [1]);
}

#[test]
fn old_records_go_but_for_the_newest_twenty() {
    let directory = directory();
    let history = open(&directory);
    let aged = |generation, days| Record { at: NOW - days * DAY, ..edit(generation, "shop") };
    let old: Vec<_> = (1..=30).map(|generation| aged(generation, 91)).collect();
    // They were not old when they were written.
    history.record(&old).unwrap();
    assert_eq!(generations(&history, "shop").len(), 30);
    history.record(&[aged(31, 0)]).unwrap();
    assert_eq!(generations(&history, "shop"), (12..=31).rev().collect::<Vec<_>>());
    let young: Vec<_> = (32..=60).map(|generation| aged(generation, 89)).collect();
    history.record(&young).unwrap();
    history.record(&[aged(61, 0)]).unwrap();
    assert_eq!(generations(&history, "shop"), (31..=61).rev().collect::<Vec<_>>());
}

#[test]
fn the_author_of_the_newest_edit_can_be_told_later() {
    let directory = directory();
    let history = open(&directory);
    let amend = |digest: &str| {
        history.amend("default", "shop", digest, &command(), Some(3), Some("why")).unwrap()
    };
    assert!(!amend(FILE_DIGEST), "nothing is recorded");
    let before = Record { file_digest: Some("sha256:bb".to_owned()), ..edit(4, "shop") };
    history.record(&[before.clone(), edit(5, "shop"), edit(6, "shop"), edit(6, "other")]).unwrap();
    assert!(!amend("sha256:cc"));
    assert!(amend(FILE_DIGEST));
    let told = |generation| Record {
        author: command(),
        restores: Some(3),
        remark: Some("why".to_owned()),
        ..edit(generation, "shop")
    };
    assert_eq!(history.of("default", "shop", 9).unwrap(), [told(6), told(5), before]);
    assert_eq!(history.of("default", "other", 9).unwrap(), [edit(6, "other")]);
    assert!(!amend(FILE_DIGEST), "it has its author");
    history.record(&[edit(7, "shop").removed(7)]).unwrap();
    assert!(!amend(FILE_DIGEST), "nobody edited anything");
    let removal = Record { author: Author::FileEdit, ..edit(8, "shop").removed(8) };
    history.record(&[removal]).unwrap();
    assert!(amend(FILE_DIGEST), "a removed file has no digest");
}

/// Two write at once: the first one's text is served, then the second one's, and only then does the first tell.
#[test]
fn an_author_who_tells_after_the_next_edit_is_named() {
    let directory = directory();
    let history = open(&directory);
    let next = Record { file_digest: Some("sha256:bb".to_owned()), ..edit(6, "shop") };
    history.record(&[edit(4, "shop"), edit(5, "shop"), next.clone()]).unwrap();
    assert!(history.amend("default", "shop", FILE_DIGEST, &command(), None, None).unwrap());
    let told = |generation| Record { author: command(), ..edit(generation, "shop") };
    assert_eq!(history.of("default", "shop", 9).unwrap(), [next, told(5), told(4)]);
}

#[test]
fn a_record_differs_by_what_is_served_and_declared() {
    let version = |name: &str, status: &str, digest: Option<&str>| RecordedVersion {
        name: name.to_owned(),
        status: status.to_owned(),
        digest: digest.map(str::to_owned),
    };
    let with =
        |versions: &[RecordedVersion]| Record { versions: versions.to_vec(), ..edit(2, "shop") };
    let earlier = edit(1, "shop");
    assert!(!edit(2, "shop").differs_from(&earlier));
    assert!(!with(&[version("v1", "creating", None)]).differs_from(&earlier));
    assert!(Record { after: Vec::new(), ..edit(2, "shop") }.differs_from(&earlier));
    for versions in [
        vec![],
        vec![version("v1", "error", None)],
        vec![version("v1", "normal", Some("sha256:01"))],
        vec![version("v2", "creating", None)],
        vec![version("v1", "creating", None), version("v2", "creating", None)],
    ] {
        assert!(with(&versions).differs_from(&earlier), "{versions:?}");
    }
}

#[test]
fn records_are_json_that_says_its_kinds() {
    let record = Record { author: command(), ..edit(1, "shop") };
    let json = serde_json::to_value(&record).unwrap();
    let author = serde_json::json!({
        "kind": "command", "user": "ada", "command": "watershed deploy"
    });
    assert_eq!(json["author"], author);
    assert_eq!(json["outcome"]["kind"], "held");
    assert_eq!(json["after"], serde_json::json!([{ "version": "v1", "share": 100.0 }]));
    assert!(json.get("remark").is_none(), "{json}");
    let kind = |author| serde_json::to_value(author).unwrap()["kind"].clone();
    assert_eq!((kind(Author::Start), kind(Author::FileEdit)), ("start".into(), "file-edit".into()));
    assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record);
}

#[test]
fn the_history_is_open_once() {
    let directory = directory();
    assert!(History::read(directory.path()).unwrap().is_none());
    assert_eq!(names(&directory), <[&str; 0]>::default(), "reading makes no file");
    let history = open(&directory);
    for other in [History::open(directory.path()).map(Some), History::read(directory.path())] {
        let error = other.unwrap_err();
        assert!(matches!(error, HistoryError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(History::FILE), "{error}");
    }
    let clone = history.clone();
    drop(history);
    assert!(History::read(directory.path()).is_err(), "the clone is the same");
    drop(clone);
    assert!(History::read(directory.path()).unwrap().is_some());
}

#[test]
fn a_directory_is_made_and_one_that_cannot_be_is_told() {
    let directory = directory();
    History::open(&directory.path().join("a/b")).unwrap().reach(1).unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let error = History::open(&directory.path().join("file")).unwrap_err();
    assert!(matches!(error, HistoryError::Unusable { .. }), "{error}");
    assert!(error.line().contains("[state]"), "{error}");
}

#[test]
fn a_record_of_a_stranger_shape_is_told_and_outlived() {
    let directory = directory();
    let history = open(&directory);
    history
        .write(|transaction| {
            let mut table = transaction.open_table(TABLE)?;
            table.insert(("default", "shop", 1), &b"{\"at\": \"monday\"}"[..])?;
            Ok(())
        })
        .unwrap();
    let error = history.of("default", "shop", 1).unwrap_err();
    assert!(matches!(error, HistoryError::Record { .. }), "{error}");
    assert!(error.line().contains("newer watershed"), "{error}");
    let records: Vec<_> = (2..=22).map(|generation| edit(generation, "shop")).collect();
    history.record(&records).unwrap();
    assert_eq!(generations(&history, "shop").len(), 21);
}

/// Parts of some kilobytes each, and a record that names them.
fn with_parts(generation: u64, texts: &[&str]) -> (Record, Parts) {
    let version = |(index, text): (usize, &&str)| {
        let env = Table::from_iter([("TEXT".to_owned(), Value::from(*text))]);
        let declared = Table::from_iter([("env".to_owned(), Value::from(env))]);
        (format!("v{index}"), declared, MadeOf::default())
    };
    let policy = Table::from_iter([("latest".to_owned(), Value::from(true))]);
    let mut parts = Parts::default();
    let served = Served::new(policy, texts.iter().enumerate().map(version), &mut parts);
    let served = Some(served);
    (Record { served, ..edit(generation, "shop") }, parts)
}

fn stored_bytes(history: &History) -> u64 {
    let records = history.of("default", "shop", usize::MAX).unwrap();
    serde_json::to_vec(&history.parts(&records).unwrap()).unwrap().len() as u64
}

#[test]
fn a_part_is_stored_once_for_as_long_as_a_record_names_it() {
    let directory = directory();
    let history = open(&directory);
    for generation in 1..=3 {
        let (record, parts) = with_parts(generation, &["one", "two"]);
        history.record_with(&[record], &parts).unwrap();
    }
    let (record, parts) = with_parts(4, &["one", "other"]);
    history.record_with(std::slice::from_ref(&record), &parts).unwrap();
    drop(history);
    let history = open(&directory);
    let records = history.of("default", "shop", 9).unwrap();
    assert_eq!(records[0], record);
    let parts = history.parts(&records).unwrap();
    assert_eq!(parts.iter().count(), 4, "a policy and three versions");
    let changed =
        records[0].contents(&parts).unwrap().changes_since(&records[1].contents(&parts).unwrap());
    let changed: Vec<_> = changed.iter().map(ToString::to_string).collect();
    assert_eq!(changed, ["env of v1"]);
    let later: Vec<_> = (5..=1_004).map(|generation| edit(generation, "shop")).collect();
    history.record(&later).unwrap();
    assert_eq!(stored_bytes(&history), 2, "nobody names them any more");
    history
        .look(|transaction| {
            let table: TableDefinition<'_, (&str, &str, &str), u64> =
                TableDefinition::new("part uses");
            assert_eq!(transaction.open_table(table)?.iter()?.count(), 0);
            Ok(())
        })
        .unwrap();
}

/// The largest: a file's bound of text, another one each time.
#[test]
fn what_records_keep_is_bounded() {
    let directory = directory();
    let history = open(&directory);
    for generation in 1..=4 {
        let text = char::from(b'a' + u8::try_from(generation).unwrap()).to_string();
        let (record, parts) = with_parts(generation, &[&text.repeat(15 << 20)]);
        history.record_with(&[record], &parts).unwrap();
        assert!(stored_bytes(&history) < parts::LARGEST + (1 << 10));
    }
    assert_eq!(generations(&history, "shop"), [4, 3], "the newest that fit");
    // One that is larger by itself is kept, alone.
    let (record, parts) = with_parts(5, &["\u{1}".repeat(8 << 20).as_str()]);
    history.record_with(&[record], &parts).unwrap();
    assert_eq!(generations(&history, "shop"), [5]);
    assert!(
        history.of("default", "shop", 1).unwrap()[0]
            .contents(&history.parts(&history.of("default", "shop", 1).unwrap()).unwrap())
            .is_some()
    );
}

#[test]
fn texts_of_environments_are_given_to_those_who_ask_for_them() {
    let (record, parts) = with_parts(1, &["5ecret"]);
    let shown = |parts: &Parts| serde_json::to_string(parts).unwrap();
    assert!(shown(&parts).contains("5ecret"));
    let without = parts.without_texts(|key, text| format!("{key} {}", text.len()));
    assert!(!shown(&without).contains("5ecret") && shown(&without).contains("TEXT 6"));
    assert!(record.contents(&without).is_some());
}

/// Written before records told of more than shares.
#[test]
fn a_record_of_an_older_watershed_is_read() {
    let mut json = serde_json::to_value(edit(1, "shop")).unwrap();
    json.as_object_mut().unwrap().remove("served");
    let record: Record = serde_json::from_value(json).unwrap();
    assert!(record.contents(&Parts::default()).is_none());
    let (now, _) = with_parts(2, &[]);
    assert!(now.differs_from(&record), "it is recorded once more, with all of it");
}

/// The file is for older watersheds too, and documents are for scripts.
#[test]
fn the_file_has_milliseconds_and_a_document_has_a_date() {
    let directory = directory();
    let history = open(&directory);
    let record = edit(1, "shop");
    let stored = history.encoded(std::slice::from_ref(&record)).unwrap().remove(0);
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["at"], NOW);
    let shown = serde_json::to_value(&record).unwrap();
    assert_eq!(shown["at"].as_str(), Some(crate::api::moment::text(NOW).as_str()));
    for value in [stored, shown] {
        assert_eq!(history.decoded(value.to_string().as_bytes()).unwrap(), record);
    }
}

#[test]
fn an_edit_while_nobody_serves_is_kept_until_the_next_record() {
    let directory = directory();
    let command = |name: &str| Attribution {
        environment: "default".to_owned(),
        service: "greeter".to_owned(),
        user: "someone".to_owned(),
        command: name.to_owned(),
        remark: None,
        restores: Some(3),
        file_digest: FILE_DIGEST.to_owned(),
    };
    open(&directory).keep_offline(&command("one")).unwrap();
    let history = open(&directory);
    history.keep_offline(&command("two")).unwrap();
    history.record(&[edit(1, "other")]).unwrap();
    let kept = |history: &History| history.offline("default", "greeter").unwrap();
    assert_eq!(kept(&history).unwrap().1, command("two"));
    history.record(&[edit(2, "greeter")]).unwrap();
    assert_eq!(kept(&history), None);
}
