//! Whatever commands are run one after the other on the shipped files: what is left is TOML that the
//! loader accepts and that says what was asked for, and no comment of what was not touched is gone.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const GREETER: &str = include_str!("../../../../config/services/greeter.toml");
const LAB: &str = include_str!("../../../../config/services/lab.toml");

#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Replace(usize, u8, bool),
    Remove(usize),
    Split(Vec<usize>),
    Quarantine(u8),
    Release(u8),
}

/// What the file must mean after some steps.
#[derive(Debug)]
struct Wanted {
    versions: Vec<(String, Option<Digest>)>,
    split: Option<Vec<(String, Percent)>>,
    quarantine: Vec<Digest>,
    removed: Vec<String>,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..5_usize).prop_map(Step::Add),
        (0..5_usize, 1..9_u8, any::<bool>())
            .prop_map(|(at, byte, env)| Step::Replace(at, byte, env)),
        (0..5_usize).prop_map(Step::Remove),
        prop::collection::vec(0..5_usize, 1..4).prop_map(Step::Split),
        (0..3_u8).prop_map(Step::Quarantine),
        (0..3_u8).prop_map(Step::Release),
    ]
}

fn version_name(index: usize) -> String {
    format!("v{}", index + 1)
}

impl Wanted {
    fn of(service: &Service) -> Self {
        let versions = service.versions.iter();
        Self {
            versions: versions
                .map(|spec| (spec.name.to_string(), spec.declared_digest()))
                .collect(),
            split: split_of(service).map(sorted),
            quarantine: service.quarantine.iter().map(|entry| entry.digest).collect(),
            removed: Vec::new(),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.versions.iter().position(|(declared, _)| declared == name)
    }

    /// Takes a step, in the file and here, if it makes sense.
    fn take(&mut self, step: &Step, file: &mut ServiceText) {
        match step {
            Step::Add(index) => {
                let name = version_name(*index);
                if self.position(&name).is_none() {
                    file.add_version(&version(&name, "/srv/a.wasm"));
                    self.versions.push((name, Some(digest(1))));
                }
            }
            Step::Replace(index, byte, has_env) => {
                let name = version_name(*index);
                let Some(position) = self.position(&name) else { return };
                let new = NewVersion { digest: digest(*byte), ..version(&name, "/srv/b.wasm") };
                let value = byte.to_string();
                let env = has_env.then_some(("KEY", value.as_str()));
                file.replace_version(&with_env(new, env.as_slice()));
                self.versions[position].1 = Some(digest(*byte));
            }
            Step::Remove(index) => self.remove(&version_name(*index), file),
            Step::Split(indexes) => {
                let mut names: Vec<String> = indexes.iter().map(|it| version_name(*it)).collect();
                names.retain(|name| self.position(name).is_some());
                names.sort();
                names.dedup();
                self.split(&names, file);
            }
            Step::Quarantine(byte) => {
                file.quarantine(&quarantined("v1", *byte));
                if !self.quarantine.contains(&digest(*byte)) {
                    self.quarantine.push(digest(*byte));
                }
            }
            Step::Release(byte) => {
                file.release(&quarantined("v9", *byte));
                self.quarantine.retain(|entry| *entry != digest(*byte));
            }
        }
    }

    /// A version with traffic hands it over first, as the commands have it.
    fn remove(&mut self, version: &str, file: &mut ServiceText) {
        let Some(position) = self.position(version) else { return };
        if self.versions.len() == 1 {
            return;
        }
        let mut others = self.versions.iter().map(|(name, _)| name).filter(|name| *name != version);
        let heir = others.next_back().cloned().unwrap();
        if self.split.is_some() {
            self.split(&[heir], file);
        }
        file.remove_version(&name(version));
        self.versions.remove(position);
        self.removed.push(version.to_owned());
    }

    fn split(&mut self, names: &[String], file: &mut ServiceText) {
        let Some((first, rest)) = names.split_first() else { return };
        let small = Percent::from_f64(0.25).unwrap();
        let left = 10_000 - 25 * u16::try_from(rest.len()).unwrap();
        let mut split = vec![(first.clone(), Percent::from_hundredths(left).unwrap())];
        split.extend(rest.iter().map(|name| (name.clone(), small)));
        let shares: Vec<_> = split.iter().map(|(version, share)| (name(version), *share)).collect();
        file.set_split(&shares);
        self.split = Some(sorted(split));
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

/// The comments that no step is about, and those that stay as long as their version does.
const STAY: [&str; 7] = [
    "#:schema",
    "# Try it",
    "# One behaviour",
    "# or: latest",
    "# the shop",
    "# who gets what",
    "# the end",
];
const STAY_WITH: [(&str, &str); 4] =
    [("# one", "v1"), ("# the second", "v2"), ("# second", "v2"), ("# two", "v2")];

/// Those of a text that must be there after the versions in `removed` are gone.
fn comments(text: &str, removed: &[String]) -> Vec<&'static str> {
    let stays = |(_, version): &(&str, &str)| !removed.iter().any(|removed| removed == version);
    let with = STAY_WITH.into_iter().filter(stays).map(|(comment, _)| comment);
    STAY.into_iter().chain(with).filter(|comment| text.contains(comment)).collect()
}

const BRACKETS: &str = "\
# the shop

traffic = { latest = true } # who gets what
versions = [
    { name = \"v1\", component = \"a\" }, # one
    # the second
    { name = \"v2\", component = \"b\", env = { A = \"1\" }, limits.memory = \"1MiB\" } # two
]
# the end
";

const TABLES: &str = "\
# the shop

[traffic.split] # who gets what
v1 = 50.0
# new
v2 = 50

[[versions]]
name = \"v1\"
component = \"a\"
[versions.env]
KEY = \"0\" # a key

# second
[[versions]]
name = \"v2\"
component = \"b\"
env.KEY = \"1\"
env.OTHER = { file = \"x\" }

# the end
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_sequence_of_edits_leaves_a_file_that_says_what_was_asked_for(
        shipped in select(vec![GREETER, LAB, BRACKETS, TABLES]),
        steps in prop::collection::vec(step(), 1..12),
        is_crlf: bool,
    ) {
        let text = if is_crlf { shipped.replace('\n', "\r\n") } else { shipped.to_owned() };
        let site = Site::new(&text);
        let mut wanted = Wanted::of(&site.config().environments[0].services[0]);
        let mut file = site.open();
        for step in &steps {
            wanted.take(step, &mut file.text);
        }
        let after = file.text.to_string();
        let saved = file.save(&site.main());
        prop_assert!(saved.is_ok(), "{}\n{after}", saved.unwrap_err());
        prop_assert_eq!(&site.text(), &after);
        let removed = std::mem::take(&mut wanted.removed);
        let meant = Wanted::of(&site.config().environments[0].services[0]);
        prop_assert_eq!(format!("{meant:?}"), format!("{wanted:?}"), "{}", after);
        prop_assert_eq!(
            comments(&after, &removed),
            comments(shipped, &removed),
            "{}",
            after
        );
        let plain_ends = after.matches('\n').count() - after.matches("\r\n").count();
        prop_assert!(plain_ends == 0 || !is_crlf, "{after:?}");
        saved.unwrap().revert().unwrap();
        prop_assert_eq!(site.text(), text);
    }
}
