//! The file of the tokens as it changes: what opens the listener at each moment.

use std::fs;

use super::*;

async fn admits(file: &TokenFile, token: &str) -> bool {
    file.admits(token).await.is_some()
}

#[tokio::test]
async fn the_token_is_what_the_file_says_now() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "first\n").unwrap();
    let file = TokenFile::open(path.clone()).unwrap();
    assert!(admits(&file, "first").await && !admits(&file, "second").await);
    fs::write(&path, "second").unwrap();
    // A client with the new token need not wait.
    assert!(admits(&file, "second").await && !admits(&file, "first").await);
    assert_eq!(file.fault(), None);
}

#[tokio::test]
async fn nothing_opens_the_listener_while_the_file_says_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "first").unwrap();
    let file = TokenFile::open(path.clone()).unwrap();
    type Break = fn(&Path);
    let breaks: [(&str, Break); 7] = [
        ("is empty", |path| fs::write(path, " \n").unwrap()),
        ("line 2 begins with no role", |path| fs::write(path, "first\nsecond ann\n").unwrap()),
        ("line 1 has a token of other", |path| fs::write(path, "caf\u{e9}").unwrap()),
        ("larger than 64 KiB", |path| fs::write(path, "x".repeat(70_000)).unwrap()),
        ("UTF-8", |path| fs::write(path, [0xff, 0xfe]).unwrap()),
        ("cannot read", |path| fs::remove_file(path).unwrap()),
        ("not a regular file", |path| fs::create_dir(path).unwrap()),
    ];
    for (fault, destroy) in breaks {
        destroy(&path);
        file.look().await;
        assert!(file.fault().is_some_and(|told| told.contains(fault)), "{:?}", file.fault());
        assert!(!admits(&file, "").await && !admits(&file, "other").await, "{fault}");
        assert!(admits(&file, "first").await, "{fault}");
    }
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "third").unwrap();
    assert!(admits(&file, "third").await && !admits(&file, "first").await);
    assert_eq!(file.fault(), None);
}

#[tokio::test]
async fn each_line_opens_by_its_role_and_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "viewer see Vic\noperator do Ann\nplain\n").unwrap();
    let file = TokenFile::open(path.clone()).unwrap();
    for (token, role, name) in [
        ("see", Role::Viewer, Some("Vic")),
        ("do", Role::Operator, Some("Ann")),
        ("plain", Role::Operator, None),
    ] {
        let access = file.admits(token).await.unwrap();
        assert_eq!((access.role, access.name.as_deref()), (role, name), "{token}");
    }
    assert_eq!(client_token(&path).unwrap(), "do");
    fs::write(&path, "viewer see Vic\n").unwrap();
    assert_eq!(client_token(&path).unwrap(), "see");
}

/// A session is what its token is now: a person who may no longer act does not act on from an open page.
#[tokio::test]
async fn a_session_follows_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "operator first Ann\noperator second\n").unwrap();
    let file = TokenFile::open(path.clone()).unwrap();
    let session = file.begin_session("first").unwrap();
    let role = |file: &TokenFile| file.of_session(&session).map(|access| access.role);
    assert_eq!(role(&file), Some(Role::Operator));
    fs::write(&path, "viewer first Ann\noperator second\n").unwrap();
    file.look().await;
    assert_eq!(role(&file), Some(Role::Viewer));
    fs::write(&path, "").unwrap();
    file.look().await;
    assert_eq!(role(&file), Some(Role::Viewer), "the last good tokens stay");
    fs::write(&path, "operator second\n").unwrap();
    file.look().await;
    assert_eq!(role(&file), None);
    fs::write(&path, "operator first Ann\n").unwrap();
    file.look().await;
    assert_eq!(role(&file), None, "a token that comes back begins no session");
}
