//! Files that nobody would write, and that must be told like any other: whatever the size of what is
//! wrong, a report is short and soon there. What the fuzzer finds (`make fuzz`) gets a test here.

use super::*;

const VERSIONS: usize = 20_000;

/// The problems of a service's file under an empty main file.
fn problems(service: &str) -> Vec<Problem> {
    let tree =
        Tree::new(&[("config/watershed.toml", "[server]"), ("config/services/s.toml", service)]);
    let report = tree.load().unwrap_err();
    assert!(report.to_string().len() < 200_000, "the report is as long as the file");
    report.problems
}

fn only(service: &str) -> Problem {
    let mut problems = problems(service);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

fn versions(name: &str) -> String {
    let version = |n| format!("[[versions]]\nname = \"{name}{n}\"\ncomponent = \"a.wasm\"\n");
    (0..VERSIONS).map(version).collect()
}

#[test]
fn users_stay_with_so_many_versions_only() {
    let text = |count: usize| {
        let names = || (0..count).map(|n| format!("v{n}"));
        let versions: String = names()
            .map(|name| format!("[[versions]]\nname = {name:?}\ncomponent = \"a\"\n"))
            .collect();
        let mut shares: Vec<_> = names().map(|name| format!("{name} = 1")).collect();
        shares[0] = format!("v0 = {}", 101 - count);
        let split = shares.join(", ");
        format!("{versions}[traffic]\nsplit = {{ {split} }}\n[traffic.sticky]\nkey = \"query:u\"\n")
    };
    let problem = only(&text(65));
    assert_eq!(problem.message, "users can stay with 64 versions of a split at most, not with 65");
    let tree = [("config/watershed.toml", "[server]"), ("config/services/s.toml", &text(64))];
    assert!(Tree::new(&tree).load().is_ok());
}

#[test]
fn a_cookie_that_must_be_secure_is() {
    let text = |name: &str, secure: bool| {
        format!(
            "[[versions]]\nname = \"v1\"\ncomponent = \"a\"\n[traffic.sticky]\nkey = \"generated\"\n\
             [traffic.sticky.cookie]\nname = {name:?}\nsecure = {secure}\n"
        )
    };
    assert!(only(&text("__Host-id", false)).message.contains("that is not secure"));
    assert!(only(&text("__SECURE-id", false)).message.contains("that is not secure"));
    let tree = [
        ("config/watershed.toml", "[server]"),
        ("config/services/s.toml", &text("__Host-id", true)),
    ];
    assert!(Tree::new(&tree).load().is_ok());
}

#[test]
fn many_versions_are_read() {
    let files =
        [("config/watershed.toml", "[server]"), ("config/services/s.toml", &*versions("v"))];
    let config = Tree::new(&files).load().unwrap();
    assert_eq!(config.environments[0].services[0].versions.len(), VERSIONS);
}

#[test]
fn the_first_problems_of_many_are_told() {
    let shares: String = (0..VERSIONS).map(|n| format!("w{n} = 1\n")).collect();
    let wrong = [
        versions("V"),
        format!("{}[traffic.split]\n{shares}", versions("v")),
        "a b c\n".repeat(VERSIONS),
        "a = 1\n".repeat(VERSIONS),
        format!("domains = [{}]", "\"x y\", ".repeat(VERSIONS)),
    ];
    for service in wrong {
        let problems = problems(&service);
        assert_eq!(problems.len(), 101);
        assert_eq!(problems[0].message, "there are more than 100 problems in this file");
    }
}

#[test]
fn the_problems_of_a_shared_file_count_once() {
    let main = "[[environments]]\nname = \"a\"\ndomain = \"a.org\"\n\
                [[environments]]\nname = \"b\"\ndomain = \"b.org\"\n";
    let keys: String = (0..100).map(|n| format!("key{n} = 1\n")).collect();
    let tree = Tree::new(&[("config/watershed.toml", main), ("config/services/s.toml", &keys)]);
    let messages = tree.messages();
    assert_eq!(messages.len(), 100, "{messages:?}");
}

#[test]
fn misfits_of_a_large_file_are_told_like_any() {
    let keys: String = (0..300_000).map(|n| format!("key{n} = {n}\n")).collect();
    let numbers = format!("domains = [{}]", "1, ".repeat(300_000));
    for service in [keys, numbers] {
        let problems = problems(&service);
        assert_eq!(problems.len(), 101);
        assert_eq!(problems[0].message, "there are more than 100 problems in this file");
    }
}

#[test]
fn many_errors_on_one_line_are_one() {
    let lines = [
        format!("a = [{}]", "b, ".repeat(300_000)),
        format!("a = {{ {} }}", "b = 1, ".repeat(100_000)),
        format!("a = \"{}\"", "\\d ".repeat(300_000)),
        format!("{}a = [[", "\t".repeat(300_000)),
        format!("a = 1{}", "\r".repeat(300_000)),
        format!("a = {}", "\"".repeat(300_000)),
    ];
    for service in lines {
        only(&service);
    }
}

#[test]
fn a_long_line_is_named_and_not_shown() {
    let problem = only(&format!("{}x = 1", "\t".repeat(1_000_000)));
    let place = (problem.line, problem.column, problem.width, problem.source);
    assert_eq!(place, (Some(1), Some(1_000_001), Some(1), None));
}

#[test]
fn a_long_name_is_shortened_and_compared_with_none() {
    let (name, other) = ("a".repeat(1_000_000), "b".repeat(1_000_000));
    let version = format!("[[versions]]\nname = \"{name}\"\ncomponent = \"a\"\n");
    let problems = problems(&format!("{version}[traffic]\nsplit = {{ {other} = 100 }}"));
    let messages: Vec<&str> = problems.iter().map(|problem| &*problem.message).collect();
    assert!(messages[0].ends_with("it has 1000000 characters, and 63 is the most"), "{messages:?}");
    assert!(messages.iter().all(|message| message.chars().count() < 1000));
}

#[test]
fn depth_is_bounded() {
    let nested = [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("a{} = 1", ".a".repeat(100_000)),
        format!("[a{}]", ".a".repeat(100_000)),
    ];
    for service in nested {
        assert_eq!(only(&service).help, "nothing here is in that many tables or arrays");
    }
}

#[test]
fn the_end_of_a_line_has_no_column_of_its_own() {
    for (text, source) in [("name = \"s\r\n", "name = \"s"), ("name = \"s\r", "name = \"s\r")] {
        let problem = problems(text).remove(0);
        assert_eq!(problem.source.as_deref(), Some(source));
        assert!(problem.column <= Some(source.len() + 1), "{problem:?}");
    }
}

#[test]
fn a_device_is_no_file() {
    let tree = Tree::new(&[("config/watershed.toml", "[server]"), ("config/services/.keep", "")]);
    let link = tree.path("config/services/s.toml");
    std::os::unix::fs::symlink("/dev/zero", link).unwrap();
    assert_eq!(tree.messages(), ["this is a pipe, a socket or a device, not a file"]);
}

#[test]
fn a_file_has_a_largest_size() {
    let tree = Tree::new(&[("config/watershed.toml", "[server]"), ("config/services/s.toml", "")]);
    let file = fs::File::create(tree.path("config/services/s.toml")).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    assert_eq!(tree.messages(), ["the file has more than 16 MiB"]);
}

/// A pattern as long as one may be, and as slow to compare.
#[test]
fn many_rules_are_compared_soon() {
    let glob = "*a".repeat(Glob::MAX / 2);
    let rule = |n| {
        let name = format!("[[traffic.rules]]\nname = \"r{n}\"\nversion = \"v0\"\n");
        format!("{name}match = {{ path = \"{glob}\", header = {{ a = \"{n}\" }} }}\n")
    };
    let rules: String = (0..2_000).map(rule).collect();
    let service = format!("[[versions]]\nname = \"v0\"\ncomponent = \"a.wasm\"\n{rules}");
    let tree =
        Tree::new(&[("config/watershed.toml", "[server]"), ("config/services/s.toml", &service)]);
    let config = tree.load().unwrap();
    assert_eq!(config.environments[0].services[0].policy.rules.len(), 2_000);
    assert_eq!(config.warnings, []);
}
