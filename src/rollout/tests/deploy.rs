//! A deployment, through every way that it can take: the file must say at any time only what can be
//! served, and an error must say how things stand.

use std::path::PathBuf;
use std::time::Duration;

use super::played::{Played, Trouble, digest, fault, name};
use crate::api::{Fault, Standing};
use crate::config::Percent;
use crate::edit::{NewBackend, NewVersion};
use crate::rollout::{
    Control, Deployment, Done, Edit, Note, Portion, Refusal, Step, conclude, deploy,
};

const SHOP: &str = "\
# The shop.
[[versions]]
name = \"v1\"
component = \"a.wasm\"

[traffic]
split = { v1 = 100 } # by hand
";

const LATEST: &str = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n";

/// A service without versions.
const EMPTY: &str = "domains = [\"shop.example.com\"]\n";

/// A deployment of a version that is to get this.
fn deployment(version: &str, portion: Portion) -> Deployment {
    Deployment {
        version: NewVersion {
            name: name(version),
            backend: NewBackend::Component {
                component: PathBuf::from("/components/new.wasm"),
                env: Vec::new(),
            },
            digest: digest(7),
            remark: None,
            limits: Vec::new(),
        },
        portion,
        replaces: false,
        creates: false,
        forced: false,
        keeps_failed: false,
        patience: Duration::from_secs(60),
        note: Note { command: "deploy".to_owned(), ..Note::default() },
    }
}

fn tenth() -> Portion {
    Portion::Share(Percent::from_hundredths(1_000).unwrap())
}

fn replacing() -> Deployment {
    Deployment { replaces: true, ..deployment("v1", Portion::Hold) }
}

/// Deploys, which fails; what is told of it.
#[track_caller]
fn failed(played: &mut Played, deployment: &Deployment) -> String {
    deploy(played, deployment).unwrap_err().said()
}

#[test]
fn a_normal_version_gets_its_share_in_a_second_edit() {
    let mut played = Played::new(SHOP);
    let Done { before, generation, .. } = deploy(&mut played, &deployment("v2", tenth())).unwrap();
    assert_eq!(before.to_string(), "v1 100 %");
    assert_eq!(generation, Some(3), "of the second edit");
    assert_eq!(played.told, ["deploy", "deploy"]);
    assert!(played.texts[0].contains("split = { v1 = 100 } # by hand"), "{}", played.texts[0]);
    assert!(played.texts[0].contains("name = \"v2\""), "{}", played.texts[0]);
    assert_eq!(played.split(), "v1 90 %, v2 10 %");
    assert!(played.text().starts_with("# The shop.\n"));
    assert_eq!(played.view().shares().to_string(), "v1 90 %, v2 10 %");
}

#[test]
fn a_version_on_hold_takes_one_edit_and_no_traffic() {
    let mut played = Played::new(SHOP);
    deploy(&mut played, &deployment("v2", Portion::Hold)).unwrap();
    assert_eq!((played.texts.len(), played.split().as_str()), (1, "v1 100 %"));
    // Under `latest = true`, the split keeps it from everything.
    let mut played = Played::new(LATEST);
    deploy(&mut played, &deployment("v2", Portion::Hold)).unwrap();
    assert_eq!((played.texts.len(), played.split().as_str()), (1, "v1 100 %"));
    // There, everything takes no split.
    let mut played = Played::new(LATEST);
    deploy(&mut played, &deployment("v2", Portion::All)).unwrap();
    assert_eq!((played.texts.len(), played.split().as_str()), (1, "latest"));
    assert_eq!(played.view().shares().to_string(), "v2 100 %");
}

#[test]
fn a_version_that_never_was_normal_is_taken_out_again() {
    for (text, portion) in [(SHOP, Portion::All), (SHOP, tenth()), (LATEST, Portion::Hold)] {
        let mut played = Played::new(text);
        played.fates.insert("v2".to_owned(), fault());
        let told = failed(&mut played, &deployment("v2", portion));
        assert!(told.starts_with("v2 of shop is in error (not-a-component): it is text"), "{told}");
        assert!(
            told.contains("the traffic is as it was, and v2 is taken out of the file"),
            "{told}"
        );
        assert_eq!((played.text().as_str(), played.texts.len()), (text, 1));
        assert_eq!(played.told, ["deploy", "deploy (put back)"]);
        // The name is free for the next try.
        played.fates.clear();
        deploy(&mut played, &deployment("v2", Portion::Hold)).unwrap();
    }
}

#[test]
fn a_version_that_failed_stays_where_it_is_wanted_or_tried_again() {
    let may_pass = match fault() {
        Standing::Error(fault) => Standing::Error(Fault { may_pass: true, ..fault }),
        other => other,
    };
    for (fate, keeps_failed) in [(fault(), true), (may_pass, false)] {
        let mut played = Played::new(SHOP);
        played.fates.insert("v2".to_owned(), fate);
        let kept = Deployment { keeps_failed, ..deployment("v2", Portion::All) };
        let told = failed(&mut played, &kept);
        assert!(told.ends_with("`watershed delete shop v2`"), "{told}");
        assert_eq!((played.texts.len(), played.split().as_str()), (1, "v1 100 %"));
        assert!(played.text().contains("name = \"v2\""));
    }
    // Without a process it would get its share at the next start, so it is declared without any.
    let mut played = Played::offline(SHOP);
    played.fates.insert("v2".to_owned(), fault());
    let kept = Deployment { keeps_failed: true, ..deployment("v2", Portion::All) };
    let told = failed(&mut played, &kept);
    assert!(told.ends_with("`watershed delete shop v2`"), "{told}");
    assert_eq!(played.split(), "v1 100 %");
    assert!(played.text().contains("name = \"v2\""));
}

/// What others wrote meanwhile stays, and the version goes all the same.
#[test]
fn a_version_that_failed_is_taken_out_of_a_file_that_others_have_edited() {
    let mut played = Played::new(SHOP);
    played.fates.insert("v2".to_owned(), fault());
    played.meanwhile = Some(Box::new(|text| {
        text.replace(
            "[traffic]",
            "[[versions]]\nname = \"v3\"\ncomponent = \"c.wasm\"\n\n[traffic]",
        )
    }));
    let told = failed(&mut played, &deployment("v2", tenth()));
    assert!(told.contains("v2 is taken out of the file again"), "{told}");
    let text = played.text();
    assert!(text.contains("name = \"v3\"") && !text.contains("name = \"v2\""), "{text}");
    // A version of the same name that somebody else has put there is theirs.
    let (ours, theirs) = (digest(7).to_string(), digest(8).to_string());
    let mut played = Played::new(SHOP);
    played.fates.insert("v2".to_owned(), fault());
    played.meanwhile = Some(Box::new(move |text| text.replace(&ours, &theirs)));
    let told = failed(&mut played, &deployment("v2", tenth()));
    assert!(told.contains("the file could not be put back"), "{told}");
    assert!(played.text().contains(&digest(8).to_string()));
}

#[test]
fn the_error_of_a_version_is_one_line_of_the_history() {
    let Standing::Error(fault) = fault() else { panic!() };
    let fault = Fault { detail: format!("two\n lines\t{}", "x".repeat(1_000)), ..fault };
    let note = Note { command: "deploy".to_owned(), ..Note::default() }.failed(&name("v2"), &fault);
    assert_eq!(note.command, "deploy (put back)");
    let remark = note.remark.unwrap();
    assert!(remark.starts_with("v2 failed (not-a-component): two lines xxx"), "{remark}");
    assert!(remark.len() < 400, "{}", remark.len());
}

#[test]
fn a_replacement_in_error_is_put_back() {
    let mut played = Played::new(SHOP);
    played.fates.insert("v1".to_owned(), fault());
    let told = failed(&mut played, &replacing());
    assert!(told.contains("v1 of shop is in error"), "{told}");
    assert!(told.ends_with("\nv1 is again what it was"), "{told}");
    assert_eq!(played.text(), SHOP);
    assert_eq!(played.told, ["deploy", "deploy (put back)"]);
}

/// What somebody else wrote is never lost, and never said to be what it is not.
#[test]
fn what_somebody_else_wrote_is_not_put_back() {
    let mut played = Played::new(SHOP);
    played.fates.insert("v1".to_owned(), fault());
    played.meanwhile = Some(Box::new(|text| format!("{text}# mine\n")));
    let told = failed(&mut played, &replacing());
    assert!(told.contains("the file could not be put back: "), "{told}");
    assert!(played.text().ends_with("# mine\n"));
}

#[test]
fn a_process_that_ends_while_it_is_waited_for_leaves_what_is_said() {
    for (text, portion, left) in [
        (SHOP, Portion::Hold, "v2 stays declared without any"),
        (SHOP, tenth(), "v2 stays declared without any"),
        (SHOP, Portion::All, "v2 stays declared without any"),
        (LATEST, Portion::Hold, "v2 stays declared without any"),
        (LATEST, Portion::All, "gets everything once it is normal"),
    ] {
        let mut played = Played::new(text);
        // One for the edit, one for the look after it.
        played.answers = 2;
        let told = failed(&mut played, &deployment("v2", portion));
        assert!(told.starts_with("no process answers\n") && told.contains(left), "{told}");
        assert!(played.split() == "v1 100 %" || portion == Portion::All, "{}", played.split());
    }
    let mut played = Played::new(SHOP);
    played.answers = 2;
    let told = failed(&mut played, &replacing());
    assert!(told.contains("v1 stays replaced in the file"), "{told}");
}

#[test]
fn a_file_that_is_put_back_is_said_to_be_also_where_nobody_can_be_told() {
    let mut played = Played::new(SHOP);
    played.fates.insert("v1".to_owned(), fault());
    // The edit, the look after it, and one while it is waited for.
    played.answers = 3;
    let told = failed(&mut played, &replacing());
    let left = "v1 is again what it was; the process could not be told, and reads the file by itself: \
                no process answers";
    assert!(told.contains("is in error") && told.ends_with(left), "{told}");
    assert_eq!(played.text(), SHOP);
}

/// Wherever the process ends, the file can be served, and the version has no share before it is
/// known to be normal.
#[test]
fn wherever_the_process_ends_the_file_says_what_can_be_served() {
    for fate in [None, Some(fault()), Some(Standing::Creating)] {
        for answers in 0..8 {
            let mut played = Played::new(SHOP);
            played.fates.extend(fate.clone().map(|fate| ("v2".to_owned(), fate)));
            played.answers = answers;
            let done = deploy(&mut played, &deployment("v2", tenth()));
            let expected = if played.texts.len() == 2 { "v1 90 %, v2 10 %" } else { "v1 100 %" };
            assert_eq!(played.split(), expected, "{answers} {fate:?} {done:?}");
            assert!(fate.is_none() || played.texts.len() < 2, "{answers} {fate:?}");
        }
    }
}

#[test]
fn an_edit_in_between_is_kept() {
    let mut played = Played::new(SHOP);
    played.meanwhile = Some(Box::new(|text| {
        let third = "[[versions]]\nname = \"v3\"\ncomponent = \"c.wasm\"\n\n[traffic]";
        text.replace("[traffic]", third).replace("v1 = 100", "v1 = 50, v3 = 50")
    }));
    deploy(&mut played, &deployment("v2", tenth())).unwrap();
    assert_eq!(played.split(), "v1 45 %, v2 10 %, v3 45 %");
}

#[test]
fn a_version_that_somebody_else_has_replaced_gets_no_traffic() {
    let mut played = Played::new(SHOP);
    let (ours, theirs) = (digest(7).to_string(), digest(8).to_string());
    played.meanwhile = Some(Box::new(move |text| text.replace(&ours, &theirs)));
    let told = failed(&mut played, &deployment("v2", tenth()));
    assert!(told.contains("was replaced by somebody else"), "{told}");
    assert_eq!(played.split(), "v1 100 %");
}

#[test]
fn a_version_that_somebody_else_has_removed_is_not_declared_again() {
    let mut played = Played::new(SHOP);
    played.meanwhile = Some(Box::new(|_| SHOP.to_owned()));
    let told = failed(&mut played, &deployment("v2", tenth()));
    assert!(told.contains("shop has no version v2"), "{told}");
    assert_eq!(played.text(), SHOP);
}

/// The first edit is done then: an error that says that nothing was would be wrong.
#[test]
fn an_edit_right_before_the_second_one_leaves_a_normal_version_without_traffic() {
    let mut played = Played::new(SHOP);
    played.before_edit = vec![None, Some(Box::new(|text| format!("{text}# mine\n")))];
    let told = failed(&mut played, &deployment("v2", tenth()));
    assert!(told.contains("was changed by somebody else"), "{told}");
    assert!(told.contains("v2 is normal, and the traffic is as it was"), "{told}");
    assert_eq!(played.split(), "v1 100 %");
    assert!(played.text().ends_with("# mine\n"));
}

#[test]
fn an_edit_right_before_the_first_one_changes_nothing() {
    let mut played = Played::new(SHOP);
    played.before_edit = vec![Some(Box::new(|text| format!("{text}# mine\n")))];
    let refused = deploy(&mut played, &deployment("v2", tenth())).unwrap_err();
    assert!(matches!(refused, Trouble::Refused(Refusal::Changed { .. })), "{refused}");
    assert!(played.texts.is_empty() && played.told.is_empty());
}

#[test]
fn a_version_that_takes_too_long_gets_no_traffic() {
    let mut played = Played::new(SHOP);
    played.fates.insert("v2".to_owned(), Standing::Creating);
    let told = failed(&mut played, &deployment("v2", tenth()));
    assert!(told.starts_with("v2 of shop did not become normal within 1m"), "{told}");
    assert_eq!((played.texts.len(), played.split().as_str()), (1, "v1 100 %"));
}

#[test]
fn without_a_process_a_trial_decides() {
    let mut played = Played::offline(SHOP);
    let done = deploy(&mut played, &deployment("v2", tenth())).unwrap();
    assert_eq!((done.generation, played.texts.len()), (None, 1));
    assert_eq!(played.split(), "v1 90 %, v2 10 %");

    let mut played = Played::offline(SHOP);
    played.fates.insert("v2".to_owned(), fault());
    let told = failed(&mut played, &deployment("v2", Portion::All));
    assert!(told.ends_with("\nnothing was changed"), "{told}");
    assert_eq!(played.text(), SHOP);

    // What nobody has tried does not wait in the file for the next start.
    let mut played = Played::offline(SHOP);
    played.is_untried = true;
    let told = failed(&mut played, &deployment("v2", Portion::All));
    assert_eq!(told, "there is no room for a sandbox\nnothing was changed");
    assert_eq!(played.text(), SHOP);
}

/// A service whose only version is in error must not be stuck with it.
#[test]
fn a_good_version_is_deployed_beside_bad_ones() {
    for portion in [Portion::All, Portion::Hold] {
        let mut played = Played::new(SHOP);
        played.fates.insert("v1".to_owned(), fault());
        played.look().unwrap();
        deploy(&mut played, &deployment("v2", portion)).unwrap();
        let split = if portion == Portion::All { "v2 100 %" } else { "v1 100 %" };
        assert_eq!(played.split(), split);
    }
}

/// A service that was made for a version goes with it, and only if that fails.
#[test]
fn a_new_service_stays_if_its_version_is_normal() {
    let created = |fate: Option<Standing>, answers: usize| {
        let mut played = Played::new(EMPTY);
        let deployment = Deployment { creates: true, ..deployment("v1", Portion::All) };
        played.fates.extend(fate.map(|fate| ("v1".to_owned(), fate)));
        let split = Step::Split(vec![(name("v1"), Percent::ALL)]);
        let edit = Edit(vec![Step::Add(deployment.version.clone()), split]);
        let edited = played.edit(&edit, Note::default()).unwrap();
        played.answers = answers;
        let done = conclude(&mut played, &deployment, edited);
        (done.map_err(|trouble| trouble.said()), played.text())
    };
    let (done, text) = created(None, usize::MAX);
    assert_eq!(done.unwrap().before.to_string(), "offline");
    assert!(text.contains("v1 = 100"), "{text}");
    let (done, text) = created(Some(fault()), usize::MAX);
    assert!(done.unwrap_err().ends_with("nothing was changed"));
    assert_eq!(text, EMPTY);
    let (done, text) = created(None, 0);
    assert!(done.unwrap_err().contains("gets everything once it is normal"));
    assert!(text.contains("v1 = 100"), "{text}");
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let quarantined =
        format!("{SHOP}[[quarantine]]\ndigest = \"{}\"\nversion = \"v0\"\n", digest(7));
    for (text, deployment, why) in [
        (SHOP, deployment("v1", tenth()), "has a version v1 already"),
        (SHOP, Deployment { replaces: true, ..deployment("v2", Portion::Hold) }, "no version v2"),
        (&quarantined, deployment("v2", tenth()), "v2 of shop is quarantined"),
    ] {
        let mut played = Played::new(text);
        let told = failed(&mut played, &deployment);
        assert!(told.contains(why), "{told}");
        assert_eq!((played.text().as_str(), played.texts.len()), (text, 0));
    }
    let mut played = Played::new(&quarantined);
    let forced = Deployment { forced: true, ..deployment("v2", tenth()) };
    deploy(&mut played, &forced).unwrap();
    assert!(!played.text().contains("quarantine"), "{}", played.text());
}
