//! What a rollback writes, in every form in which it can be written.

use super::*;

fn key(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn text(text: &str) -> toml::Value {
    toml::Value::from(text)
}

fn rule(text: &str, is_kept: bool) -> PutRule {
    PutRule { rule: text.parse().unwrap(), is_kept }
}

const ENVS: [(&str, &str); 4] = [
    ("env = { A = \"1\", B = \"2\" } # all", "env = { A = \"x\", B = \"2\" } # all"),
    ("env.A = \"1\" # one\nenv.B = \"2\"", "env.A = \"x\" # one\nenv.B = \"2\""),
    (
        "\n[versions.env]\n# one\nA = \"1\"\nB = \"2\"",
        "\n[versions.env]\n# one\nA = \"x\"\nB = \"2\"",
    ),
    ("remark = \"none\"", "remark = \"none\"\nenv = { A = \"x\" }"),
];

#[test]
fn a_variable_is_set_in_whatever_form_the_others_have() {
    for (before, after) in ENVS {
        let shop = |env: &str| {
            format!(
                "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n{env}\n\n[traffic]\nlatest = true\n"
            )
        };
        let (said, _) = edited(&shop(before), |file| {
            file.set_in_version(&name("v1"), &key(&["env", "A"]), Some(&text("x")));
        });
        assert_eq!(said, shop(after));
    }
}

#[test]
fn a_variable_is_taken_out_with_its_comment() {
    let before = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n[versions.env]\n# one\n\
                  A = \"1\"\n# two\nB = \"2\"\n";
    let (said, _) = edited(before, |file| {
        file.set_in_version(&name("v1"), &key(&["env", "A"]), None);
        file.set_in_version(&name("v1"), &key(&["limits", "memory"]), Some(&text("64MiB")));
        file.set_in_version(&name("v9"), &key(&["remark"]), Some(&text("nobody")));
    });
    assert!(!said.contains("# one") && said.contains("# two\nB = \"2\""), "{said}");
    assert!(said.contains("limits = { memory = \"64MiB\" }"), "{said}");
}

#[test]
fn paths_are_written_as_in_the_file_and_texts_as_they_are() {
    let site = Site::new("[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n");
    let mut file = site.open();
    let place = |name: &str| text(&site.path(name).display().to_string());
    let secret = toml::Value::Table([("file".to_owned(), place("token"))].into_iter().collect());
    file.text.set_in_version(&name("v1"), &key(&["component"]), Some(&place("bin/b.wasm")));
    file.text.set_in_version(&name("v1"), &key(&["env", "file"]), Some(&text("/etc/passwd")));
    file.text.set_in_version(&name("v1"), &key(&["env", "TOKEN"]), Some(&secret));
    file.save(&site.main()).unwrap();
    let said = site.text();
    for line in
        ["component = \"../bin/b.wasm\"", "file = \"/etc/passwd\"", "{ file = \"../token\" }"]
    {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn a_version_is_declared_again_with_all_that_it_had() {
    let before = "[[versions]]\nname = \"v2\"\ncomponent = \"b.wasm\"\n\n# who\n[traffic]\n\
                  latest = true\n";
    let version = "name = 'v1'\ncomponent = '/srv/a.wasm'\nremark = 'old'\nenv.A = '1'\n\
                   env.T.file = '/run/t'\nlimits.memory = '64MiB'\n";
    let (said, service) = edited(before, |file| file.declare_version(&version.parse().unwrap()));
    assert!(said.ends_with("\n# who\n[traffic]\nlatest = true\n"), "{said}");
    let declared = &service.versions[1];
    assert_eq!((declared.name.as_str(), declared.env().len()), ("v1", 2));
    assert_eq!(guest(declared).limits.memory.to_string(), "64MiB");
    assert_eq!(declared.remark.as_deref(), Some("old"));
}

const ONE: &str = "name = 'one'\nversion = 'v1'\nmatch.path = '/a'\notherwise = 'next'";
const TWO: &str = "name = 'two'\nversion = 'v1'\nmatch.path = '/b'\notherwise = 'fail'";
const NEW: &str = "name = 'new'\nversion = 'v1'\nmatch.header = { x-a = 'b' }\notherwise = 'next'";

const SECTIONS: &str = "\
[[versions]]
name = \"v1\"
component = \"a.wasm\"

[traffic]
latest = true

# The first.
[[traffic.rules]]
name = \"one\" # it
version = \"v1\"
[traffic.rules.match]
path = \"/a\" # all of a

# The second.
[[traffic.rules]]
name = \"two\"
match.path = \"/b\"
version = \"v1\"

# Who stays.
[traffic.sticky]
key = \"header:x\"
";

fn names(service: &Service) -> Vec<String> {
    service.policy.rules.iter().map(|rule| rule.name.to_string()).collect()
}

#[test]
fn rules_in_sections_keep_their_lines_in_any_order() {
    let (said, service) = edited(SECTIONS, |file| {
        file.set_rules(&[rule(NEW, false), rule(TWO, false), rule(ONE, true)]);
    });
    assert_eq!(names(&service), ["new", "two", "one"]);
    for line in [
        "# The first.",
        "name = \"one\" # it",
        "path = \"/a\" # all of a",
        "# The second.",
        "# Who stays.",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("otherwise = \"fail\""), "{said}");
    assert!(service.policy.sticky.is_some());
    let (said, service) = edited(SECTIONS, |file| file.set_rules(&[rule(TWO, true)]));
    assert!(!said.contains("# The first.") && said.contains("# The second."), "{said}");
    assert_eq!(names(&service), ["two"]);
    let (said, service) = edited(SECTIONS, |file| file.set_rules(&[]));
    assert!(
        names(&service).is_empty() && said.contains("# Who stays.\n[traffic.sticky]"),
        "{said}"
    );
}

#[test]
fn rules_in_brackets_stay_in_brackets() {
    let shop = "traffic.rules = [ # mine\n    { name = \"one\", version = \"v1\", match = { path = \"/a\" } }, # a\n    \
                { name = \"two\", version = \"v1\", match.path = \"/b\" },\n]\n\
                [[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n";
    let (said, service) = edited(shop, |file| {
        file.set_rules(&[rule(TWO, true), rule(ONE, true), rule(NEW, false)]);
    });
    assert_eq!(names(&service), ["two", "one", "new"], "{said}");
    let (_, service) = edited(shop, |file| file.set_rules(&[rule(NEW, false)]));
    assert_eq!(names(&service), ["new"]);
}

#[test]
fn rules_come_where_there_were_none() {
    let shop = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n";
    let (said, service) =
        edited(shop, |file| file.set_rules(&[rule(ONE, false), rule(NEW, false)]));
    assert_eq!(names(&service), ["one", "new"], "{said}");
    let (said, _) =
        edited(shop, |file| file.set_in_traffic(&key(&["pick"]), Some(&text("smooth"))));
    assert!(said.ends_with("\n[traffic]\npick = \"smooth\"\n"), "{said}");
}

#[test]
fn a_table_of_the_traffic_is_changed_where_it_differs() {
    let (said, service) = edited(SECTIONS, |file| {
        file.set_in_traffic(&key(&["sticky", "key"]), Some(&text("generated")));
        let cookie: toml::Table = "name = 'lane'\nhttp-only = true".parse().unwrap();
        file.set_in_traffic(&key(&["sticky", "cookie"]), Some(&toml::Value::Table(cookie)));
    });
    assert!(said.contains("# Who stays.\n[traffic.sticky]\nkey = \"generated\"\n"), "{said}");
    assert!(service.policy.sticky.is_some(), "{said}");
    let (said, service) = edited(SECTIONS, |file| file.set_in_traffic(&key(&["sticky"]), None));
    assert!(service.policy.sticky.is_none() && !said.contains("# Who stays."), "{said}");
}
