//! What a loader makes of files that change: which are read, what is served where one is wrong, and who
//! gets a name that two want.

use std::fs;
use std::time::{Duration, Instant};

use super::*;
use crate::source::ReadError;

mod sequences;

/// A configuration in a directory of its own, and its loader.
struct Site {
    directory: tempfile::TempDir,
    loader: Loader,
}

const MAIN: &str = "[[environments]]\nname = \"default\"\ndomain = \"localhost\"\n";

impl Site {
    fn new(services: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("services")).unwrap();
        let loader = Loader::new(&directory.path().join("watershed.toml"));
        let site = Self { directory, loader };
        site.main(MAIN);
        for (name, text) in services {
            site.write(name, text);
        }
        site
    }

    fn main(&self, text: &str) {
        fs::write(self.directory.path().join("watershed.toml"), text).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("services/{name}.toml"))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn load(&mut self) -> Loaded {
        let loaded = self.loader.load(Reading::Changed).unwrap();
        self.loader.keep(&loaded);
        loaded
    }

    /// Loads until no file is too young to be trusted.
    fn settle(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.load().read > 0 {
            assert!(Instant::now() < deadline, "files are read again and again");
        }
    }
}

/// A service with these domains beside its default one, and one version.
fn service(domains: &[&str]) -> String {
    format!("domains = {domains:?}\n[[versions]]\nname = \"v1\"\ncomponent = \"c.wasm\"\n")
}

/// Every service with its domains, the default one first.
fn domains(loaded: &Loaded) -> Vec<String> {
    let joined = |service: &Arc<crate::config::Service>| {
        let domains: Vec<_> = service.domains.iter().map(ToString::to_string).collect();
        domains.join(" ")
    };
    loaded.config.services().map(|(_, service)| joined(service)).collect()
}

fn messages(loaded: &Loaded) -> Vec<&str> {
    let problems = loaded.rejected.iter().flat_map(|rejection| &rejection.report.problems);
    problems.map(|problem| problem.message.as_str()).collect()
}

#[test]
fn only_what_changed_is_read() {
    let mut site = Site::new(&[("a", &service(&[])), ("b", &service(&[])), ("c", &service(&[]))]);
    assert_eq!(site.load().read, 3);
    site.settle();
    let before = site.load();
    site.write("b", &service(&["b.example"]));
    let after = site.load();
    assert_eq!(after.read, 1);
    assert_eq!(domains(&after), ["a.localhost", "b.localhost b.example", "c.localhost"]);
    let [old, new] = [&before, &after].map(|loaded| &loaded.config.environments[0].services);
    assert!(Arc::ptr_eq(&old[0], &new[0]), "what did not change is the same one");
    assert_eq!(site.loader.load(Reading::Everything).unwrap().read, 3);
}

#[test]
fn what_holds_for_all_services_has_them_all_read_again() {
    let mut site = Site::new(&[("a", &service(&[])), ("b", &service(&[]))]);
    site.settle();
    site.main(&format!("{MAIN}[defaults.limits]\nconcurrency = 7\n"));
    let loaded = site.load();
    assert_eq!(loaded.read, 2);
    let limits = loaded.config.services().map(|(_, service)| &service.versions[0].limits);
    assert!(limits.into_iter().all(|limits| limits.concurrency.get() == 7));
}

#[test]
fn a_wrong_file_leaves_its_service_as_it_was_and_the_others_go_on() {
    let mut site = Site::new(&[("a", &service(&["old.example"])), ("b", &service(&[]))]);
    site.load();
    site.write("a", "nonsense");
    site.write("b", &service(&["new.example"]));
    let loaded = site.load();
    assert_eq!(domains(&loaded), ["a.localhost old.example", "b.localhost new.example"]);
    let [rejection] = loaded.rejected.as_slice() else { panic!("{:?}", loaded.rejected) };
    assert_eq!(rejection.serves.as_ref().unwrap().as_str(), "a");
    assert_eq!(rejection.file, site.file("a"));
    assert_eq!(rejection.report.problems[0].line, Some(1));
    site.write("a", &service(&["next.example"]));
    let loaded = site.load();
    assert!(loaded.rejected.is_empty());
    assert_eq!(domains(&loaded)[0], "a.localhost next.example");
}

#[test]
fn a_file_that_was_never_right_serves_nothing() {
    let mut site = Site::new(&[("a", "nonsense"), ("b", &service(&[]))]);
    let loaded = site.load();
    assert_eq!(domains(&loaded), ["b.localhost"]);
    assert_eq!(loaded.rejected[0].serves, None);
}

#[test]
fn a_file_that_is_removed_leaves_nothing_behind() {
    let mut site = Site::new(&[("a", &service(&[])), ("b", &service(&[]))]);
    site.load();
    fs::remove_file(site.file("a")).unwrap();
    assert_eq!(domains(&site.load()), ["b.localhost"]);
    site.write("a", "nonsense");
    let loaded = site.load();
    assert_eq!(domains(&loaded), ["b.localhost"], "what came back is another file");
    assert_eq!(loaded.rejected[0].serves, None);
}

#[test]
fn of_two_newcomers_the_first_file_gets_the_domain() {
    let mut site = Site::new(&[("a", &service(&["x.example"])), ("b", &service(&["x.example"]))]);
    let loaded = site.load();
    assert_eq!(domains(&loaded), ["a.localhost x.example"]);
    assert_eq!(loaded.rejected[0].file, site.file("b"));
    let [message] = messages(&loaded)[..] else { panic!("{:?}", loaded.rejected) };
    assert!(message.contains("`x.example` is already a domain of a service"), "{message}");
    assert!(message.contains("a.toml on line 1"), "{message}");
}

#[test]
fn who_has_a_domain_keeps_it_whatever_the_order_of_files() {
    let mut site = Site::new(&[("a", &service(&[])), ("b", &service(&["x.example"]))]);
    site.load();
    site.write("a", &service(&["x.example", "y.example"]));
    let loaded = site.load();
    assert_eq!(domains(&loaded), ["a.localhost", "b.localhost x.example"]);
    assert_eq!(loaded.rejected[0].file, site.file("a"));
    assert!(messages(&loaded)[0].contains("b.toml on line 1"), "{:?}", messages(&loaded));
}

#[test]
fn a_domain_moves_in_one_step() {
    let mut site = Site::new(&[
        ("a", &service(&["x.example"])),
        ("b", &service(&["y.example"])),
        ("c", &service(&[])),
    ]);
    site.load();
    site.write("a", &service(&["y.example"]));
    site.write("b", &service(&["x.example"]));
    let loaded = site.load();
    assert_eq!(domains(&loaded)[..2], ["a.localhost y.example", "b.localhost x.example"]);
    site.write("a", &service(&[]));
    site.write("c", &service(&["y.example"]));
    let loaded = site.load();
    assert_eq!(domains(&loaded)[2], "c.localhost y.example");
    assert!(loaded.rejected.is_empty());
}

/// `b` gives up what `c` takes; but `b` is sent back for what it takes from `a`, and has it again.
#[test]
fn who_is_sent_back_takes_its_domains_along() {
    let mut site = Site::new(&[
        ("a", &service(&["a.example"])),
        ("b", &service(&["b.example"])),
        ("c", &service(&["c.example"])),
    ]);
    site.load();
    site.write("b", &service(&["a.example"]));
    site.write("c", &service(&["b.example"]));
    let loaded = site.load();
    let before = ["a.localhost a.example", "b.localhost b.example", "c.localhost c.example"];
    assert_eq!(domains(&loaded), before);
    assert_eq!(loaded.rejected.len(), 2);
    // As soon as there is no more reason, what was sent back is served, though it was not touched.
    site.write("a", &service(&[]));
    let loaded = site.load();
    let after = ["a.localhost", "b.localhost a.example", "c.localhost b.example"];
    assert_eq!(domains(&loaded), after);
    assert!(loaded.rejected.is_empty());
}

#[test]
fn a_wrong_file_keeps_its_domain_from_others() {
    let mut site = Site::new(&[("a", &service(&[])), ("b", &service(&["x.example"]))]);
    site.load();
    site.write("b", "nonsense");
    site.write("a", &service(&["x.example"]));
    assert_eq!(domains(&site.load()), ["a.localhost", "b.localhost x.example"]);
    fs::remove_file(site.file("b")).unwrap();
    assert_eq!(domains(&site.load()), ["a.localhost x.example"]);
}

#[test]
fn a_name_is_one_problem_and_not_its_default_domain_too() {
    let named = |text: String| format!("name = \"same\"\n{text}");
    let mut site = Site::new(&[("a", &named(service(&[]))), ("b", &named(service(&[])))]);
    let loaded = site.load();
    assert_eq!(domains(&loaded), ["same.localhost"]);
    let [message] = messages(&loaded)[..] else { panic!("{:?}", loaded.rejected) };
    assert!(message.contains("already the name of a service"), "{message}");
}

#[test]
fn what_was_loaded_and_not_kept_is_nothing_to_go_back_to() {
    let mut site = Site::new(&[("a", &service(&["x.example"]))]);
    site.load();
    site.write("a", &service(&["half.example"]));
    site.loader.load(Reading::Changed).unwrap();
    site.write("a", "nonsense");
    assert_eq!(domains(&site.load()), ["a.localhost x.example"]);
}

#[test]
fn a_wrong_main_file_forgets_nothing() {
    let mut site = Site::new(&[("a", &service(&["x.example"]))]);
    site.load();
    site.main("nonsense");
    assert!(site.loader.load(Reading::Changed).is_err());
    site.write("a", "nonsense");
    let wrong = site.loader.load(Reading::Everything).unwrap_err();
    assert_eq!(wrong.report.problems.len(), 2, "the services are where they were");
    let mut other = Loader::new(site.loader.path());
    let wrong = other.load(Reading::Everything).unwrap_err();
    assert_eq!(wrong.report.problems.len(), 1, "without a main file, there are no services");
    site.main(&format!("{MAIN}wrong = 1\n"));
    let wrong = site.loader.load(Reading::Changed).unwrap_err();
    assert_eq!(wrong.report.problems.len(), 2, "{}", wrong.report);
    site.main(MAIN);
    assert_eq!(domains(&site.load()), ["a.localhost x.example"]);
}

#[test]
fn what_is_kept_follows_its_environments_domain() {
    let mut site = Site::new(&[("a", &service(&["x.example"]))]);
    site.load();
    site.write("a", "nonsense");
    site.main(&MAIN.replace("localhost", "example.org"));
    assert_eq!(domains(&site.load()), ["a.example.org x.example"]);
    site.main(MAIN);
    assert_eq!(domains(&site.load()), ["a.localhost x.example"]);
}

/// A service with these routes, and one version.
fn routed(routes: &[(&str, &str)]) -> String {
    let route = |(domain, path): &(&str, &str)| {
        format!("[[routes]]\ndomain = \"{domain}\"\npath = \"{path}\"\n")
    };
    let routes: String = routes.iter().map(route).collect();
    format!("{routes}[[versions]]\nname = \"v1\"\ncomponent = \"c.wasm\"\n")
}

#[test]
fn services_share_a_domain_by_its_paths() {
    let mut site = Site::new(&[
        ("a", &routed(&[("shop.example", "/api")])),
        ("b", &routed(&[("shop.example", "/"), ("shop.example", "/api/v2")])),
        ("c", &routed(&[("shop.example", "/api/")])),
        ("d", &service(&["shop.example"])),
    ]);
    let loaded = site.load();
    let messages = messages(&loaded);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("`shop.example/api` is already a route of a service, in "));
    assert!(messages[1].starts_with("`shop.example` is already a domain of a service, in "));
    assert_eq!(domains(&loaded), ["a.localhost", "b.localhost"]);
}

/// Whoever has a route keeps it, though another file comes before.
#[test]
fn a_route_stays_with_whoever_has_it() {
    let mut site = Site::new(&[("b", &routed(&[("shop.example", "/api")]))]);
    site.load();
    site.write("a", &routed(&[("shop.example", "/api")]));
    assert_eq!(domains(&site.load()), ["b.localhost"]);
    site.write("b", &routed(&[]));
    assert_eq!(domains(&site.load()), ["a.localhost", "b.localhost"]);
}

#[test]
fn what_is_served_is_warned_of_also_where_the_file_is_wrong_by_now() {
    let rule = |name| format!("[[traffic.rules]]\nname = \"{name}\"\nversion = \"v1\"\n");
    let text = service(&[]) + &rule("a") + &rule("b");
    let mut site = Site::new(&[("s", &text)]);
    assert_eq!(site.load().config.warnings.len(), 1);
    site.write("s", &(text + "version = \"v1\"\n"));
    let loaded = site.load();
    assert_eq!((loaded.rejected.len(), loaded.config.warnings.len()), (1, 1));
}

/// Fails for files by their names: `eio.toml`, `stale.toml`, `interrupted.toml`, `emfile.toml`.
fn failing(path: &Path) -> Result<Vec<u8>, ReadError> {
    let codes = [("eio", 5), ("stale", 116), ("interrupted", 4), ("emfile", 24), ("watershed", 12)];
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    match codes.iter().find(|(name, _)| *name == stem && (stem != "watershed" || is_short(path))) {
        Some((_, code)) => Err(std::io::Error::from_raw_os_error(*code).into()),
        None => text::read_bytes(path),
    }
}

/// Whether memory is short, as a test has it.
fn is_short(main: &Path) -> bool {
    main.with_file_name("short").exists()
}

const FAILING: [&str; 4] = ["eio", "stale", "interrupted", "emfile"];

#[test]
fn a_file_that_cannot_be_read_for_a_moment_is_served_on_and_read_again() {
    let old = service(&["old.example"]);
    let mut site = Site::new(&[("b", &service(&[]))]);
    for name in FAILING {
        let domain = format!("{name}.example");
        site.write(name, &old.replace("old.example", &domain));
    }
    site.settle();
    for name in FAILING {
        let domain = format!("{name}.new");
        site.write(name, &old.replace("old.example", &domain));
    }
    site.write("b", &service(&["b.new"]));
    site.loader.reading = failing;
    let loaded = site.load();
    let expected = [
        "b.localhost b.new",
        "eio.localhost eio.example",
        "emfile.localhost emfile.example",
        "interrupted.localhost interrupted.example",
        "stale.localhost stale.example",
    ];
    assert_eq!(domains(&loaded), expected);
    assert_eq!(loaded.rejected.len(), FAILING.len());
    for rejection in &loaded.rejected {
        assert!(rejection.report.is_transient(), "{}", rejection.report);
        assert!(rejection.report.problems[0].help.ends_with("tried again by itself"));
        assert!(rejection.serves.is_some());
    }
    // However long it takes, and however old the files are by then.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(site.load().rejected.len(), FAILING.len());
    site.loader.reading = text::read_bytes;
    let loaded = site.load();
    assert_eq!(loaded.rejected, []);
    assert_eq!(domains(&loaded)[1], "eio.localhost eio.new");
}

#[test]
fn a_main_file_that_cannot_be_read_for_a_moment_is_not_wrong() {
    let mut site = Site::new(&[("a", &service(&[]))]);
    site.load();
    fs::write(site.directory.path().join("short"), "").unwrap();
    site.loader.reading = failing;
    let rejected = site.loader.load(Reading::Changed).unwrap_err();
    assert!(rejected.is_transient, "{}", rejected.report);
    assert!(rejected.report.problems[0].help.starts_with("memory is short"));
    site.main("nonsense");
    site.loader.reading = text::read_bytes;
    assert!(!site.loader.load(Reading::Changed).unwrap_err().is_transient);
}

#[test]
fn a_panic_while_a_file_is_read_takes_nothing_from_what_it_served() {
    let mut site = Site::new(&[("a", &service(&["a.example"]))]);
    site.settle();
    site.write("a", "nonsense");
    site.loader.reading = |path| match path.ends_with("a.toml") {
        true => panic!("as the test has it"),
        false => text::read_bytes(path),
    };
    let loader = &mut site.loader;
    let load = std::panic::AssertUnwindSafe(|| loader.load(Reading::Changed).map(drop).ok());
    assert!(std::panic::catch_unwind(load).is_err());
    site.loader.reading = text::read_bytes;
    assert_eq!(domains(&site.load()), ["a.localhost a.example"]);
}
