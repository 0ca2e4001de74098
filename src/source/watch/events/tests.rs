//! Changes in real directories, and which of them are reported.

use std::os::unix::fs::symlink;

use super::*;

/// The reloader gives its wait up whenever a version has been made.
#[tokio::test]
async fn a_wait_that_is_given_up_loses_no_change() {
    let directory = tempfile::tempdir().unwrap();
    let mut events = Events::new().unwrap();
    let file = directory.path().join("a.toml");
    events.follow([Follow::Path(&file)]);
    events.changed().await;
    std::fs::write(&file, "x").unwrap();
    for _ in 0..20 {
        assert!(timeout(QUIET / 10, events.changed()).await.is_err(), "too early");
    }
    timeout(Duration::from_secs(10), events.changed()).await.unwrap();
}

#[tokio::test]
async fn what_changes_while_it_is_read_is_read_again_but_not_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let mut events = Events::new().unwrap();
    let file = directory.path().join("a.toml");
    events.follow([Follow::Path(&file)]);
    for disturbed in [true, true, true, false, true] {
        events.changed().await;
        std::fs::write(&file, "x").unwrap();
        let told = events.told;
        while events.heard.writes().changes == told {
            tokio::task::yield_now().await;
        }
        assert_eq!(events.is_disturbed(), disturbed);
    }
}

#[tokio::test]
async fn changes_are_heard_of_when_the_thread_that_hears_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.toml");
    let mut events = Events::new().unwrap();
    events.follow([Follow::Path(&file)]);
    events.changed().await;
    // It goes as it does when the thread unwinds.
    drop(std::mem::replace(&mut events.watcher, Events::new().unwrap().watcher));
    let deadline = Duration::from_secs(10);
    while !events.heard.is_deaf.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    // Something may have happened meanwhile.
    timeout(deadline, events.changed()).await.unwrap();
    assert!(!events.heard.is_deaf.load(Ordering::Relaxed));
    std::fs::write(file, "x").unwrap();
    timeout(deadline, events.changed()).await.unwrap();
}

/// Waits for a change, if there is one soon.
async fn hears(events: &mut Events) -> bool {
    timeout(2 * LONGEST, events.changed()).await.is_ok()
}

#[tokio::test]
async fn what_is_not_followed_is_not_heard() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let mut events = Events::new().unwrap();
    let (main, missing) = (path("watershed.toml"), path("services"));
    events.follow([Follow::Path(&main), Follow::Path(&missing)]);
    events.changed().await;
    std::fs::write(path("log"), "a line").unwrap();
    assert!(!hears(&mut events).await);
    assert_eq!(events.heard.writes().end(Instant::now()), None, "nobody waits for its end");
    std::fs::create_dir(path("services")).unwrap();
    assert!(hears(&mut events).await, "a directory that appears");
    std::fs::rename(path("log"), &main).unwrap();
    assert!(hears(&mut events).await, "a file that takes the place of another");
}

#[tokio::test]
async fn a_name_that_begins_to_matter_counts_as_changed() {
    let root = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| root.path().join(name));
    let mut events = Events::new().unwrap();
    events.follow([Follow::Path(&a)]);
    events.changed().await;
    events.follow([Follow::Path(&a)]);
    assert!(!hears(&mut events).await);
    events.follow([Follow::Path(&a), Follow::Path(&b)]);
    assert!(hears(&mut events).await);
}

/// The kernel has one watch of a directory, whatever the number of its names.
#[tokio::test]
async fn a_directory_with_two_names_is_heard_by_what_matters_under_each() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    std::fs::create_dir(path("release")).unwrap();
    symlink("release", path("current")).unwrap();
    let (a, b) = (path("current/a"), path("release/b"));
    let mut events = Events::new().unwrap();
    events.follow([Follow::Path(&a), Follow::Path(&b)]);
    events.changed().await;
    for name in ["release/a", "current/b"] {
        std::fs::write(path(name), "x").unwrap();
        assert!(hears(&mut events).await, "{name}");
    }
    // Without one of its names, it is still the same directory.
    for only in [&b, &a, &b] {
        events.follow([Follow::Path(only)]);
        while hears(&mut events).await {}
        std::fs::write(only, "y").unwrap();
        assert!(hears(&mut events).await, "{only:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_told_and_tried_again() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("private");
    std::fs::create_dir(&directory).unwrap();
    let mut events = Events::new().unwrap();
    // As after the kernel has given out its last watch.
    events.unseen.insert(directory.clone());
    assert!(events.is_blind());
    events.follow([Follow::Path(&directory.join("a"))]);
    assert!(!events.is_blind() && events.followed.contains_key(&directory));
}
