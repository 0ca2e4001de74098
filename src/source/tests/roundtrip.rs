//! What is written is what is meant: any configuration, written as files and loaded, is itself
//! again. [`Writer`] is the inverse of `load`, one line a key: a new key needs one there and one in
//! [`arbitrary`].

use std::sync::Arc;

use super::*;

mod arbitrary;
mod write;

use arbitrary::{Meant, meant};
use write::{Style, Writer};

/// What a path of the model begins with that is to be in the directory of the test.
const HERE: &str = "/here";

/// Puts a configuration into a directory: the services' files where the writer puts them, and the
/// paths that are `HERE`.
fn placed(mut config: Config, root: &Path) -> Config {
    let main = root.join("config");
    let place = |path: &mut PathBuf| {
        if let Ok(rest) = path.strip_prefix(HERE) {
            *path = root.join(rest);
        }
    };
    place(&mut config.state.directory);
    place(&mut config.components.directory);
    config.admin.token_file.iter_mut().for_each(place);
    for (index, environment) in config.environments.iter_mut().enumerate() {
        let directory = main.join(format!("e{index}"));
        for (index, service) in environment.services.iter_mut().enumerate() {
            let service = Arc::make_mut(service);
            service.file = directory.join(format!("s{index:03}.toml"));
            if let Some(SecretSource::File(path)) =
                service.policy.overrides.as_mut().and_then(|overrides| overrides.secret.as_mut())
            {
                place(path);
            }
            for version in &mut service.versions {
                match &mut version.backend {
                    BackendSpec::Guest(guest) => {
                        place(&mut guest.component);
                        for (_, value) in &mut guest.env {
                            if let EnvValue::Secret(SecretSource::File(path)) = value {
                                place(path);
                            }
                        }
                    }
                    BackendSpec::Upstream(upstream) => {
                        let Protocol::Tls(tls) = &mut upstream.protocol else { continue };
                        tls.ca.iter_mut().for_each(place);
                        if let Some(identity) = &mut tls.identity {
                            place(&mut identity.certificate);
                            place(&mut identity.key);
                        }
                    }
                }
            }
        }
    }
    config
}

/// Writes a configuration, and asserts that it is what is read.
fn assert_survives(
    config: Config,
    defaults: &AllLimits,
    style: Style,
) -> Result<(), TestCaseError> {
    let tree = Tree::new(&[]);
    let mut config = placed(config, tree.0.path());
    Writer { root: tree.0.path(), defaults, style }.write(&config);
    let loaded = tree.load().map_err(|report| TestCaseError::fail(report.to_string()))?;
    // What is warned of is where it is written, which the writer decides.
    config.warnings.clone_from(&loaded.warnings);
    prop_assert_eq!(loaded, config);
    Ok(())
}

/// The words of a rule leave out the versions without a share.
fn without_zeros(policy: &PolicySpec) -> PolicySpec {
    let mut policy = policy.clone();
    for rule in &mut policy.rules {
        if let Destination::Split(split) = &mut rule.to {
            let shares = split.shares().iter().filter(|(_, share)| *share != Percent::ZERO);
            *split = Split::new(shares.copied().collect()).unwrap();
        }
    }
    policy
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_configuration_is_what_its_files_say(
        Meant { config, defaults } in meant(),
        is_terse: bool,
        is_inline: bool,
    ) {
        assert_survives(config, &defaults, Style { is_terse, is_inline })?;
    }

    /// The history keeps these words, and a rollback writes them again.
    #[test]
    fn a_declaration_in_its_words_is_itself(Meant { config, defaults: _ } in meant()) {
        for (_, service) in config.services() {
            let mut traffic = service.written_policy();
            if let Traffic::Split(split) = &service.traffic {
                let share = |(index, share): &(usize, Percent)| {
                    let share = f64::from(share.hundredths()) / 100.0;
                    (service.versions[*index].name.to_string(), toml::Value::from(share))
                };
                let split: toml::Table = split.shares().iter().map(share).collect();
                traffic.insert("split".to_owned(), split.into());
            }
            let versions = service.versions.iter().enumerate();
            let versions = versions
                .map(|(index, spec)| spec.written_with(service.policy.reach_of(index)).into());
            let mut file = toml::Table::new();
            file.insert("versions".to_owned(), toml::Value::Array(versions.collect()));
            file.insert("traffic".to_owned(), traffic.into());
            let tree = Tree::new(&[
                ("config/watershed.toml", "[server]"),
                ("config/services/s.toml", &file.to_string()),
            ]);
            let loaded = tree.load().map_err(|report| TestCaseError::fail(report.to_string()))?;
            let read = &loaded.environments[0].services[0];
            prop_assert_eq!(&read.versions, &service.versions);
            prop_assert_eq!(&read.policy, &without_zeros(&service.policy));
            prop_assert_eq!(&read.traffic, &service.traffic);
        }
    }

    #[test]
    fn what_is_accepted_can_be_written_down(
        from in any::<prop::sample::Index>(),
        length in 0..60_usize,
        is_twice: bool,
        is_main: bool,
    ) {
        let text = if is_main { WATERSHED } else { GREETER };
        let damaged = damaged(text, from.index(text.len()), length, is_twice);
        let (main, service) = if is_main { (&*damaged, GREETER) } else { (WATERSHED, &*damaged) };
        let tree = Tree::new(&[
            ("config/watershed.toml", main),
            ("config/services/greeter.toml", service),
        ]);
        let Ok(config) = tree.load() else {
            return Ok(());
        };
        let style = Style { is_terse: false, is_inline: false };
        assert_survives(config, &AllLimits::default(), style)?;
    }

    #[test]
    fn the_order_of_tables_and_the_space_between_do_not_matter(
        main in shuffled(include_str!("../../../config/watershed.toml")),
        space in prop::sample::select(vec!["", " ", "\t", "   "]),
        newline in prop::sample::select(vec!["\n", "\r\n", "\n\n", "\r\n\t\r\n", " # ]\n"]),
        has_mark: bool,
    ) {
        let mark = if has_mark { "\u{feff}" } else { "" };
        let service = include_str!("../../../config/services/greeter.toml");
        let spaced = |text: &str| {
            let lines = text.lines().map(|line| format!("{space}{line}{space}{newline}"));
            format!("{mark}{}", lines.collect::<String>().replace(" = ", &format!("{space}={space}")))
        };
        let tree = Tree::new(&[
            ("config/watershed.toml", &spaced(&main)),
            ("config/services/greeter.toml", &spaced(service)),
        ]);
        let loaded = tree.load().map_err(|report| TestCaseError::fail(report.to_string()))?;
        let plain = include_str!("../../../config/watershed.toml");
        fs::write(tree.path("config/watershed.toml"), plain).unwrap();
        fs::write(tree.path("config/services/greeter.toml"), service).unwrap();
        prop_assert_eq!(loaded, tree.load().unwrap());
    }
}

/// A text without some of its bytes, or with them twice.
fn damaged(text: &str, from: usize, length: usize, is_twice: bool) -> String {
    let (start, end) = (from, (from + length).min(text.len()));
    let rest = if is_twice { &text[start..] } else { &text[end..] };
    format!("{}{rest}", &text[..if is_twice { end } else { start }])
}

/// The tables of a file in any order.
fn shuffled(text: &'static str) -> impl Strategy<Value = String> {
    let mut tables: Vec<String> = vec![String::new()];
    for line in text.lines() {
        if line.starts_with('[') {
            tables.push(String::new());
        }
        let table = tables.last_mut().unwrap();
        table.push_str(line);
        table.push('\n');
    }
    Just(tables).prop_shuffle().prop_map(|tables| tables.concat())
}
