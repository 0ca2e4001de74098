//! Any sequence of edits, and a rollback to any generation of it.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::edit::PutRule;
use crate::rollout::State;
use crate::source::ServiceFile;

#[derive(Clone, Debug)]
enum Step {
    Env(usize, usize, Option<u8>),
    Memory(usize, u8),
    Split(u8),
    Build(usize, u8),
    Component(usize, usize),
    Rotate(u8),
    Policy(u8),
    Rule(u8),
    Back(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2_usize, 0..3_usize, prop::option::of(0..3_u8))
            .prop_map(|(v, k, t)| Step::Env(v, k, t)),
        (0..2_usize, 1..4_u8).prop_map(|(version, size)| Step::Memory(version, size)),
        (0..=4_u8).prop_map(Step::Split),
        (0..3_usize, 0..2_u8).prop_map(|(file, build)| Step::Build(file, build)),
        (0..2_usize, 0..3_usize).prop_map(|(version, file)| Step::Component(version, file)),
        (0..2_u8).prop_map(Step::Rotate),
        (0..6_u8).prop_map(Step::Policy),
        (0..6_u8).prop_map(Step::Rule),
        (0..12_u8).prop_map(Step::Back),
    ]
}

const FILES: [&str; 3] = ["a.wasm", "b.wasm", "c.wasm"];

impl World {
    fn take(&mut self, step: &Step) {
        let versions = ["v1", "v2"].map(name);
        let key = |parts: &[&str]| parts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let mut file = ServiceFile::open(&self.path("shop.toml")).unwrap();
        let text = |text: &str| toml::Value::from(text);
        match step {
            Step::Env(version, variable, value) => {
                let value = value.map(|value| text(&value.to_string()));
                let variable = ["GREETING", "LEVEL", "file"][*variable];
                file.text.set_in_version(
                    &versions[*version],
                    &key(&["env", variable]),
                    value.as_ref(),
                );
            }
            Step::Memory(version, size) => {
                let size = text(&format!("{size}MiB"));
                file.text.set_in_version(
                    &versions[*version],
                    &key(&["limits", "memory"]),
                    Some(&size),
                );
            }
            Step::Split(quarters) => {
                let first = share(u16::from(*quarters) * 2_500);
                let second = share(10_000 - first.hundredths());
                file.text.set_split(&[(versions[0].clone(), first), (versions[1].clone(), second)]);
            }
            Step::Build(index, build) => {
                fs::write(self.path(FILES[*index]), format!("{index} {build}")).unwrap();
            }
            Step::Component(version, index) => {
                let path = text(&self.path(FILES[*index]).display().to_string());
                file.text.set_in_version(&versions[*version], &key(&["component"]), Some(&path));
            }
            Step::Rotate(value) => fs::write(self.path("token"), value.to_string()).unwrap(),
            Step::Policy(number) => {
                let table = |text: &str| toml::Value::Table(text.parse::<toml::Table>().unwrap());
                let (key, value) = match number {
                    0 => ("sticky", Some(table("key = 'header:x'"))),
                    1 => ("sticky", Some(table("key = 'generated'\nmode = 'pin'\nttl = '1h'"))),
                    2 => ("sticky", None),
                    3 => ("override", Some(table("header = true\nquery = 'q'"))),
                    4 => ("override", None),
                    _ => ("pick", Some(text("smooth"))),
                };
                file.text.set_in_traffic(&[key.to_owned()], value.as_ref());
            }
            Step::Rule(number) => {
                let rule = |name: &str, to: &str| {
                    format!("name = '{name}'\notherwise = 'next'\nmatch.path = '/{name}/*'\n{to}")
                        .parse::<toml::Table>()
                        .unwrap()
                };
                let one = || rule("one", "version = 'v1'");
                let two = || rule("two", "[split]\nv1 = 25\nv2 = 75");
                let rules = match number {
                    0 => vec![],
                    1 => vec![one()],
                    2 => vec![one(), two()],
                    3 => vec![two(), one()],
                    4 => vec![two()],
                    _ => vec![rule("one", "version = 'v2'"), two()],
                };
                let put = |rule| PutRule { rule, is_kept: false };
                file.text.set_rules(&rules.into_iter().map(put).collect::<Vec<_>>());
            }
            Step::Back(generation) => {
                drop(file);
                let generation = u64::from(*generation) % self.records.len() as u64 + 1;
                self.back_or_refused(generation);
                return;
            }
        }
        let text = file.text.to_string();
        let saved = file.save(&self.directory.path().join("watershed.toml"));
        saved.unwrap_or_else(|error| panic!("{error}\n{text}"));
        self.publish();
    }

    /// A rollback must be refused with a reason, or restore everything that the generation recorded.
    fn back_or_refused(&mut self, generation: u64) {
        let then = self.records.iter().find(|it| it.generation == generation).unwrap().clone();
        let before = self.text();
        match self.back(&Aim::Generation(generation)) {
            Ok(found) => {
                assert!(found.to.is_same(&self.shares()));
                let parts = self.parts.clone();
                let (then, now) = (State::of(&then, &parts), State::of(&self.records[0], &parts));
                assert!(now.is_like(&then), "{then:?}\n{now:?}\n{}", self.text());
            }
            Err(RollbackError::Same(_)) => {
                let (then, now) =
                    (State::of(&then, &self.parts), State::of(&self.records[0], &self.parts));
                assert!(now.is_like(&then), "{then:?}\n{now:?}\n{}", self.text());
            }
            Err(refused) => {
                assert_eq!(self.text(), before);
                let refused = refused.to_string();
                let why = ["another secret", "the component of", "another one now"];
                assert!(why.iter().any(|why| refused.contains(why)), "{refused}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// After any edits, a rollback to any generation is refused with a reason, or leaves a service
    /// that is described as it was then.
    #[test]
    fn a_rollback_is_what_it_says(steps in prop::collection::vec(step(), 1..10), to in 0_usize..10) {
        let mut world = World::new();
        let mut described = vec![world.description()];
        for step in &steps {
            world.take(step);
            described.resize(world.records.len(), world.description());
        }
        let to = to % world.records.len();
        let generation = to as u64 + 1;
        let shop = fs::read_to_string(world.path("shop.toml")).unwrap();
        world.back_or_refused(generation);
        if world.records.len() > described.len() {
            prop_assert_eq!(&world.description(), &described[to], "from\n{}\nto\n{}", shop, world.text());
        }
    }
}
