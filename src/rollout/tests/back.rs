//! A rollback as it is carried out: what fails on the way, and what is left then.

use std::time::Duration;

use super::played::{Played, Trouble, fault, name};
use crate::config::{Percent, VersionName};
use crate::rollout::{
    Aim, Control, Deletion, Done, Note, Plan, Refusal, Request, RolledBack, Shares, carry_out,
    plan, plan_deletion, plan_traffic,
};

const SHOP: &str = "\
[[versions]]
name = \"v1\"
component = \"a.wasm\"
env = { GREETING = \"Hello\" }

[[versions]]
name = \"v2\"
component = \"b.wasm\"

[traffic]
split = { v1 = 100, v2 = 0 }
";

fn request() -> Request {
    Request {
        aim: Aim::Previous,
        bad: false,
        traffic_only: false,
        patience: Duration::from_secs(60),
        note: note("rollback"),
    }
}

fn note(command: &str) -> Note {
    Note { command: command.to_owned(), ..Note::default() }
}

fn set_traffic(played: &mut Played, wanted: &Shares) -> Result<Done, Trouble> {
    plan_traffic(played, wanted, false)?.carry_out(played, note("promote"))
}

fn delete(played: &mut Played, deletion: &Deletion) -> Result<(Vec<VersionName>, Done), Trouble> {
    let (deleted, change) = plan_deletion(played, deletion)?;
    Ok((deleted, change.carry_out(played, note("delete"))?))
}

/// A shop in which all traffic has gone to v2.
fn promoted() -> Played {
    let mut played = Played::new(SHOP);
    set_traffic(&mut played, &Shares::all(name("v2"))).unwrap();
    assert_eq!(played.split(), "v2 100 %");
    played
}

/// A shop whose v1 has another environment than before.
fn changed() -> Played {
    let mut played = Played::new(SHOP);
    played.write(&SHOP.replace("Hello", "bad"));
    played
}

fn back(played: &mut Played) -> Result<RolledBack, Trouble> {
    let plan = plan(played, &request())?;
    carry_out(played, &request(), plan)
}

#[test]
fn shares_and_environments_come_back() {
    let mut played = promoted();
    let RolledBack { before, restores, generation, back: rest, .. } = back(&mut played).unwrap();
    assert_eq!(before.to_string(), "v2 100 %");
    assert_eq!((restores, generation), (Some(1), Some(3)));
    assert!(rest.is_all(), "{rest:?}");
    assert_eq!(played.text(), SHOP);

    let mut played = changed();
    assert_eq!(back(&mut played).unwrap().back.lines, ["v1  env.GREETING `bad` → `Hello`"]);
    assert_eq!(played.text(), SHOP);
}

/// Promote, roll back, promote another, roll back, roll back: as it was seen.
#[test]
fn what_was_rolled_back_from_is_passed_over() {
    let mut played = promoted();
    back(&mut played).unwrap();
    let half = Shares::new(vec![(name("v1"), half()), (name("v2"), half())]).unwrap();
    set_traffic(&mut played, &half).unwrap();
    let planned = plan(&played, &request()).unwrap();
    assert!(planned.back.asides().is_empty(), "{planned:?}");
    assert_eq!(back(&mut played).unwrap().restores, Some(3));
    assert_eq!(played.split(), "v1 100 %");
    let (text, told) = (played.text(), played.told.len());
    let refused = back(&mut played).unwrap_err().to_string();
    assert!(
        refused.contains("generation 2 served v2 100 %, and somebody rolled back from it at"),
        "{refused}"
    );
    assert_eq!((played.text(), played.told.len()), (text, told));
    let named = Request { aim: Aim::Generation(2), ..request() };
    let planned = plan(&played, &named).unwrap();
    carry_out(&mut played, &named, planned).unwrap();
    assert_eq!(played.split(), "v2 100 %");
}

/// A rollback that is put back has left nothing.
#[test]
fn a_rollback_that_fails_leaves_nothing() {
    let mut played = changed();
    played.fates.insert("v1".to_owned(), fault());
    back(&mut played).unwrap_err();
    played.fates.clear();
    set_traffic(&mut played, &Shares::all(name("v2"))).unwrap();
    let bad = played.text();
    back(&mut played).unwrap();
    assert_ne!(played.text(), bad);
    assert!(played.text().contains("bad") && played.split() == "v1 100 %", "{}", played.text());
}

fn half() -> Percent {
    Percent::from_hundredths(5_000).unwrap()
}

/// A rollback where there is nothing to take back does nothing at all.
#[test]
fn where_nothing_was_before_nothing_is_done() {
    let mut played = Played::new(SHOP);
    let refused = back(&mut played).unwrap_err();
    assert!(refused.to_string().contains("the history has nothing of shop"), "{refused}");
    assert_eq!((played.text().as_str(), played.told.len()), (SHOP, 0));
}

/// Between the plan, which a person reads, and the edit.
#[test]
fn a_plan_for_a_file_that_somebody_has_changed_is_not_carried_out() {
    let mut played = promoted();
    let plan: Plan = plan(&played, &request()).unwrap();
    let told = played.told.len();
    played.before_edit = vec![Some(Box::new(|text| format!("{text}# mine\n")))];
    let refused = carry_out(&mut played, &request(), plan).unwrap_err();
    assert!(matches!(refused, Trouble::Refused(Refusal::Changed { .. })), "{refused}");
    assert_eq!((played.split().as_str(), played.told.len()), ("v2 100 %", told));
}

#[test]
fn what_does_not_become_normal_again_is_put_back() {
    let mut played = changed();
    let bad = played.text();
    played.fates.insert("v1".to_owned(), fault());
    let refused = back(&mut played).unwrap_err().said();
    assert!(
        refused.starts_with("shop does not go back to generation 1: v1 is in error"),
        "{refused}"
    );
    assert!(refused.ends_with("nothing was changed: the file is again what it was"), "{refused}");
    assert_eq!(played.text(), bad);
    assert_eq!(played.told, ["rollback", "rollback (put back)"]);
}

/// A failed way back is no success, and a file that is as it was is said to be.
#[test]
fn a_process_that_ends_on_the_way_is_told_with_what_is_left() {
    let mut played = changed();
    let bad = played.text();
    // The edit and the look after it.
    played.answers = 2;
    let refused = back(&mut played).unwrap_err().said();
    assert!(
        refused.contains("shop does not go back to generation 1: no process answers"),
        "{refused}"
    );
    assert!(refused.contains("the process could not be told"), "{refused}");
    assert_eq!(played.text(), bad);

    let mut played = promoted();
    played.answers = 2;
    let refused = back(&mut played).unwrap_err().said();
    assert!(refused.contains("the file is changed; what is served then is not known"), "{refused}");
    assert_eq!(played.split(), "v1 100 %");
}

#[test]
fn what_has_traffic_is_not_deleted_and_what_has_none_is() {
    let mut played = Played::new(SHOP);
    let text = played.text();
    let refused = delete(&mut played, &Deletion::These(vec![name("v1")])).unwrap_err();
    assert!(refused.to_string().contains("v1 of shop has 100 % of the traffic"), "{refused}");
    assert_eq!(played.text(), text);
    let (deleted, done) = delete(&mut played, &Deletion::AllBut(1)).unwrap();
    assert_eq!((deleted, done.generation), (vec![name("v2")], Some(2)));
    let (deleted, done) = delete(&mut played, &Deletion::AllBut(1)).unwrap();
    assert_eq!((deleted, done.generation), (Vec::new(), None));
}

#[test]
fn nothing_in_error_gets_traffic_by_hand() {
    for mut played in [Played::new(SHOP), Played::offline(SHOP)] {
        played.fates.insert("v2".to_owned(), fault());
        played.look().unwrap();
        let promoted = set_traffic(&mut played, &Shares::all(name("v2")));
        assert!(promoted.unwrap_err().to_string().contains("v2 of shop is in error"));
        let promoted = set_traffic(&mut played, &Shares::all(name("v9")));
        assert!(promoted.unwrap_err().to_string().contains("shop has no version v9"));
        assert_eq!(played.text(), SHOP);
    }
}

/// Two people move traffic at once: each is told of the own shares, and that they do not count any more.
#[test]
fn shares_that_somebody_else_has_replaced_are_not_told_as_done() {
    let mut played = Played::new(SHOP);
    played.after_edit = Some(Box::new(|text| text.replace("v1 = 0, v2 = 100", "v1 = 10, v2 = 90")));
    let overtaken = set_traffic(&mut played, &Shares::all(name("v2"))).unwrap_err();
    assert_eq!(
        overtaken.to_string(),
        "the traffic of shop was set to v2 100 %, and somebody else has set it to v1 10 %, v2 90 % \
         since"
    );
    assert_eq!(played.split(), "v1 10 %, v2 90 %");
    // The same shares by another hand are what was asked for.
    let mut played = Played::new(SHOP);
    played.after_edit = Some(Box::new(|text| format!("{text}# mine\n")));
    assert!(set_traffic(&mut played, &Shares::all(name("v2"))).unwrap().is_change);
    assert!(!set_traffic(&mut played, &Shares::all(name("v2"))).unwrap().is_change);
}
