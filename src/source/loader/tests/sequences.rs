//! To look only where something has changed is as good as to look everywhere: after any sequence of what
//! can happen to files, both know the same, and know what differs from what was kept.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::config::{Environment, Service, ServiceName};

#[derive(Clone, Debug)]
enum Step {
    /// A file gets a text: a name for the service, and domains, or nonsense.
    Write(&'static str, Option<(&'static str, Vec<&'static str>)>),
    Remove(&'static str),
    Link(&'static str, &'static str),
    /// Nobody keeps what is loaded next.
    Lose,
    /// Everything is looked at.
    Look,
}

const FILES: [&str; 4] = ["a", "b", "c", "d"];
const DOMAINS: [&str; 4] = ["w.test", "x.test", "y.test", "z.test"];

fn step() -> impl Strategy<Value = Step> {
    let file = || select(&FILES);
    let text = prop::option::weighted(
        0.85,
        (select(&["", "s", "t"]), prop::sample::subsequence(DOMAINS.to_vec(), 0..3)),
    );
    prop_oneof![
        8 => (file(), text).prop_map(|(file, text)| Step::Write(file, text)),
        3 => file().prop_map(Step::Remove),
        1 => (file(), file()).prop_map(|(from, to)| Step::Link(from, to)),
        1 => Just(Step::Lose),
        1 => Just(Step::Look),
    ]
}

/// What is served, by environment and name.
type Services = BTreeMap<(String, String), Arc<Service>>;

fn services(config: &Config) -> Services {
    let named = |(environment, service): (&Environment, &Arc<Service>)| {
        ((environment.name.to_string(), service.name.to_string()), service.clone())
    };
    config.services().map(named).collect()
}

struct World {
    site: Site,
    /// Looks everywhere, and decides between all.
    other: Loader,
    /// What is served by what was kept and by what was said to differ.
    followed: Services,
}

impl World {
    fn take(&mut self, step: &Step) -> Option<PathBuf> {
        let path = |name: &str| self.site.file(name);
        match step {
            Step::Write(name, text) => {
                let text = match text {
                    None => "nonsense".to_owned(),
                    Some(("", domains)) => service(domains),
                    Some((name, domains)) => format!("name = \"{name}\"\n{}", service(domains)),
                };
                // Through no link, as a careful editor does.
                let aside = self.site.directory.path().join("aside");
                fs::write(&aside, text).unwrap();
                fs::rename(aside, path(name)).unwrap();
                Some(path(name))
            }
            Step::Remove(name) => {
                fs::remove_file(path(name)).ok();
                Some(path(name))
            }
            Step::Link(from, to) => {
                fs::remove_file(path(from)).ok();
                symlink(path(to), path(from)).unwrap();
                Some(path(from))
            }
            Step::Lose | Step::Look => None,
        }
    }

    fn check(&mut self, step: &Step, paths: &[PathBuf]) -> Result<(), TestCaseError> {
        let loader = &mut self.site.loader;
        let only = match step {
            Step::Look => None,
            _ => loader.load_only(paths.iter().map(PathBuf::as_path)),
        };
        let loaded = only.unwrap_or_else(|| loader.load(Reading::Changed).unwrap());
        self.other.touched = self.other.files.keys().cloned().collect();
        let all = self.other.load(Reading::Everything).unwrap();
        prop_assert_eq!(&*loaded.config, &*all.config);
        prop_assert_eq!(&loaded.rejected, &all.rejected);
        if matches!(step, Step::Lose) {
            return Ok(());
        }
        loader.keep(&loaded);
        self.other.keep(&all);
        match &loaded.changes {
            Changes::Any { .. } => self.followed = services(&loaded.config),
            Changes::Services { services, .. } => {
                for Changed { environment, name, now } in services {
                    let key = (environment.to_string(), ServiceName::to_string(name));
                    match now {
                        Some(now) => _ = self.followed.insert(key, now.clone()),
                        None => _ = self.followed.remove(&key),
                    }
                }
            }
        }
        prop_assert_eq!(&self.followed, &services(&loaded.config));
        Ok(())
    }
}

const TWO: &str = "[[environments]]\nname = \"one\"\ndomain = \"one.test\"\n\
                   [[environments]]\nname = \"two\"\ndomain = \"two.test\"\n\
                   services = \"services/[ab].toml\"\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn looking_where_something_changed_is_as_good_as_looking_everywhere(
        steps in prop::collection::vec(step(), 1..24),
        two_environments: bool,
    ) {
        let site = Site::new(&[("a", &service(&["w.test"])), ("b", &service(&["x.test"]))]);
        if two_environments {
            site.main(TWO);
        }
        let other = Loader::new(site.loader.path());
        let mut world = World { site, other, followed: Services::new() };
        world.check(&Step::Look, &[])?;
        let mut lost = Vec::new();
        for step in &steps {
            lost.extend(world.take(step));
            world.check(step, &lost)?;
            if !matches!(step, Step::Lose) {
                lost.clear();
            }
        }
    }
}
