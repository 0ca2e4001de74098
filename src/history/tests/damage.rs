//! Files that are damaged, cut off, copied or gone: there is a history afterwards, with all that can
//! be had.

use std::os::unix::fs::FileExt;

use super::*;

#[test]
fn a_damaged_file_is_moved_aside() {
    let directory = directory();
    let path = directory.path().join(History::FILE);
    fs::write(&path, "not a history, but long enough to look like one ".repeat(100)).unwrap();
    let error = History::read(directory.path()).unwrap_err();
    assert!(matches!(error, HistoryError::Damaged { .. }), "{error}");
    for number in 1..=2 {
        let history = open(&directory);
        history.record(&[edit(number, "shop")]).unwrap();
        assert_eq!(generations(&history, "shop"), [number]);
        drop(history);
        assert!(names(&directory).contains(&format!("history.redb.damaged-{number}")));
        fs::write(&path, format!("damaged again {number}").repeat(1000)).unwrap();
    }
    assert_eq!(names(&directory).len(), 3);
}

/// Wherever a file is damaged, and wherever it is cut off, there is a history afterwards.
#[test]
fn no_damage_keeps_the_history_closed() {
    let directory = directory();
    let path = directory.path().join(History::FILE);
    let history = open(&directory);
    let records: Vec<_> = (1..=300).map(|generation| edit(generation, "shop")).collect();
    history.record(&records).unwrap();
    drop(history);
    let whole = fs::read(&path).unwrap();
    let length = whole.len() as u64;
    let steps = 0..60;
    let places: Vec<_> =
        (0..20).map(|step| step * 16).chain(steps.map(|step| step * length / 60)).collect();
    for place in places {
        for is_cut in [false, true] {
            fs::write(&path, &whole).unwrap();
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            match is_cut {
                true => file.set_len(place).unwrap(),
                false => file.write_all_at(&[0xa5; 16], place).unwrap(),
            }
            let history = open(&directory);
            history.record(&[edit(301, "shop")]).unwrap();
            let kept = generations(&history, "shop");
            assert!(kept.len() == 301 || kept == [301], "{place} {is_cut}: {kept:?}");
        }
    }
}

/// A transaction is on disk or it is not, and the file opens, whatever moment a kill came at. The
/// kill of a whole server is in `tests/it/history.rs`; here the file is copied as it is at some
/// moment, which is what a process that is killed then leaves.
#[test]
fn a_copy_of_the_open_file_is_as_good_as_the_last_transaction() {
    let (directory, other) = (directory(), directory());
    let history = open(&directory);
    for generation in 1..=10 {
        history.record(&[edit(generation, "shop")]).unwrap();
        fs::copy(directory.path().join(History::FILE), other.path().join(History::FILE)).unwrap();
        let copy = open(&other);
        assert_eq!(copy.last_generation().unwrap(), generation);
        assert_eq!(generations(&copy, "shop"), (1..=generation).rev().collect::<Vec<_>>());
    }
    assert_eq!(names(&other), [History::FILE]);
}

#[test]
fn a_history_whose_file_is_gone_is_made_again_with_all_that_it_knew() {
    let directory = directory();
    let history = open(&directory);
    history.record(&[edit(3, "shop"), edit(4, "other")]).unwrap();
    history.reach(9).unwrap();
    assert_eq!(history.file_state(), FileState::There);
    let path = directory.path().join(History::FILE);
    fs::rename(&path, directory.path().join("aside")).unwrap();
    assert_eq!(history.file_state(), FileState::Gone);
    // What took its place has a record of its own, and another of the same.
    let other = open(&directory);
    assert_eq!(history.file_state(), FileState::Gone);
    let mut same = edit(3, "shop");
    same.remark = Some("of the other".to_owned());
    other.record(&[same, edit(7, "shop")]).unwrap();
    drop(other);
    let (next, taken) = history.restore(directory.path()).unwrap();
    assert_eq!(taken.unwrap(), 1);
    assert_eq!((generations(&next, "shop"), generations(&next, "other")), (vec![7, 3], vec![4]));
    assert_eq!(next.last_generation().unwrap(), 9);
    drop(next);
    fs::rename(directory.path().join("aside"), &path).unwrap();
    assert_eq!(history.file_state(), FileState::There, "it was put back");
}

#[test]
fn a_file_that_is_cut_off_while_it_is_open_is_noticed_and_moved_aside() {
    let directory = directory();
    let history = open(&directory);
    history.record(&[edit(3, "shop")]).unwrap();
    let path = directory.path().join(History::FILE);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for length in [1000, 0] {
        file.set_len(length).unwrap();
        assert_eq!(history.file_state(), FileState::CutOff);
    }
    let (next, _) = history.restore(directory.path()).unwrap();
    next.record(&[edit(5, "shop")]).unwrap();
    drop(history);
    assert_eq!((next.file_state(), generations(&next, "shop")[0]), (FileState::There, 5));
    assert!(names(&directory).contains(&"history.redb.damaged-1".to_owned()));
}
