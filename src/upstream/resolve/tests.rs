//! Names that a played resolver knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::system::Resolver;
use super::*;

/// A resolver that a test changes while it is asked.
#[derive(Clone, Debug, Default)]
pub struct Played(Arc<Zone>);

#[derive(Debug, Default)]
struct Zone {
    names: Mutex<HashMap<String, Answer>>,
    asked: AtomicUsize,
}

impl Played {
    /// A name that is not set takes for ever.
    pub async fn find(&self, name: &str) -> Answer {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let known = self.0.names.lock().unwrap().get(name).cloned();
        match known {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    fn set(&self, name: &str, ips: &[&str]) {
        let answer = match ips {
            [] => Err("Name or service not known".to_owned()),
            ips => Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect()),
        };
        self.0.names.lock().unwrap().insert(name.to_owned(), answer);
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }
}

fn played() -> (Played, Names) {
    let zone = Played::default();
    (zone.clone(), Names::played(Resolver::Played(zone)))
}

fn targets(texts: &[&str]) -> Vec<TargetAddress> {
    let target = |text: &&str| match text.parse() {
        Ok(address) => TargetAddress::Address(address),
        Err(_) => {
            let (name, port) = text.split_once(':').unwrap();
            TargetAddress::Name(name.to_owned(), port.parse().unwrap())
        }
    };
    texts.iter().map(target).collect()
}

fn addresses(found: &Found) -> Vec<Vec<String>> {
    found.addresses.iter().map(|it| it.iter().map(ToString::to_string).collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn all_addresses_of_all_targets_are_used() {
    let (zone, names) = played();
    zone.set("a", &["10.0.0.1", "10.0.0.2", "fd00::1"]);
    let targets = targets(&["a:1", "127.0.0.1:2", "a:3"]);
    let found = Found::first(&names, &targets).await.unwrap();
    assert_eq!(
        addresses(&found),
        [
            vec!["10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1"],
            vec!["127.0.0.1:2"],
            vec!["10.0.0.1:3", "10.0.0.2:3", "[fd00::1]:3"],
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_is_unresolved_only_where_no_target_has_an_address() {
    let (zone, names) = played();
    zone.set("gone", &[]);
    let unresolved = Found::first(&names, &targets(&["gone:1"])).await.unwrap_err();
    let reason = "Name or service not known".to_owned();
    assert_eq!(unresolved, PrepareError::Unresolved { name: "gone".to_owned(), reason });
    let found = Found::first(&names, &targets(&["gone:1", "127.0.0.1:2"])).await.unwrap();
    assert_eq!(addresses(&found), [vec![], vec!["127.0.0.1:2"]]);
    assert!(found.troubles[0].is_some() && found.troubles[1].is_none());
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_asked_once_and_not_waited_for() {
    let (zone, names) = played();
    let began = Instant::now();
    for _ in 0..3 {
        let unresolved = Found::first(&names, &targets(&["slow:1", "slow:2"])).await.unwrap_err();
        assert!(unresolved.to_string().ends_with("did not answer within 5s"), "{unresolved}");
    }
    assert_eq!(began.elapsed().as_secs(), 15);
    assert_eq!(zone.asked(), 1);
}

/// Follows `targets`, and gives what is found whenever that is told.
fn following(
    names: &Names,
    targets: &[TargetAddress],
    found: Found,
) -> (mpsc::UnboundedReceiver<Found>, tokio::task::JoinHandle<()>) {
    let (told, news) = mpsc::unbounded_channel();
    let take = move |found: &Found| told.send(found.clone()).is_ok();
    let every = Duration::from_secs(30);
    (news, tokio::spawn(follow(names.clone(), targets.to_vec(), every, found, take)))
}

/// nginx keeps the addresses of its start for ever, and a module for it never recovers from one failure
/// (GUI/nginx-upstream-dynamic-servers#24).
#[tokio::test(start_paused = true)]
async fn a_name_that_moves_is_followed_and_one_that_is_lost_stays_where_it_was() {
    let (zone, names) = played();
    zone.set("a", &["10.0.0.1"]);
    let targets = targets(&["a:1"]);
    let found = Found::first(&names, &targets).await.unwrap();
    let (mut news, _following) = following(&names, &targets, found);

    zone.set("a", &["10.0.0.2", "10.0.0.3"]);
    let began = Instant::now();
    assert_eq!(addresses(&news.recv().await.unwrap()), [["10.0.0.2:1", "10.0.0.3:1"]]);
    assert!((27..=33).contains(&began.elapsed().as_secs()));

    zone.set("a", &[]);
    let lost = news.recv().await.unwrap();
    assert_eq!(addresses(&lost), [["10.0.0.2:1", "10.0.0.3:1"]]);
    assert_eq!(lost.troubles, [Some("Name or service not known".to_owned())]);

    zone.set("a", &["10.0.0.4"]);
    let began = Instant::now();
    let back = news.recv().await.unwrap();
    assert_eq!(
        (addresses(&back), &back.troubles),
        (vec![vec!["10.0.0.4:1".to_owned()]], &vec![None])
    );
    assert!(began.elapsed().as_secs() <= 6, "a lost name is looked up soon again");
}

#[tokio::test(start_paused = true)]
async fn what_did_not_change_is_not_told_and_nothing_is_followed_for_nobody() {
    let (zone, names) = played();
    zone.set("a", &["10.0.0.1"]);
    let targets = targets(&["a:1"]);
    let found = Found::first(&names, &targets).await.unwrap();
    let (mut news, task) = following(&names, &targets, found);
    let silent = tokio::time::timeout(Duration::from_secs(300), news.recv()).await;
    assert!(silent.is_err(), "{silent:?}");
    assert!((8..=12).contains(&zone.asked()), "{}", zone.asked());
    drop(news);
    zone.set("a", &["10.0.0.2"]);
    tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn addresses_that_were_known_serve_a_version_that_is_made_anew() {
    let (zone, names) = played();
    zone.set("a", &["10.0.0.1"]);
    let targets = targets(&["a:1"]);
    Found::first(&names, &targets).await.unwrap();
    zone.set("a", &[]);
    let found = Found::first(&names, &targets).await.unwrap();
    assert_eq!(addresses(&found), [["10.0.0.1:1"]]);
    assert!(found.troubles[0].is_some());
}

#[tokio::test]
async fn the_system_knows_localhost() {
    let names = Names::default();
    let found = Found::first(&names, &targets(&["localhost:1"])).await.unwrap();
    assert!(found.addresses[0].iter().all(|address| address.ip().is_loopback()));
    let error = Found::first(&names, &targets(&["no-such-name.invalid:1"])).await.unwrap_err();
    assert!(matches!(error, PrepareError::Unresolved { .. }), "{error}");
}
