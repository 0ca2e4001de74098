//! Versions that come, go and are replaced.

use super::*;
use crate::config::{EnvValue, parse_target};

const SHOP: &str = "\
#:schema ../schema/service.json
# All about the shop.

# the first release
[[versions]]
name = \"v1\" # one
component = \"../bin/a.wasm\" # built by hand
env = { A = \"1\", B = { from-env = \"B\" } } # what it sees
remark = \"first\"

[versions.limits] # it is small
memory = \"64MiB\"

# the second release
[[versions]]
name = \"v2\"
component = \"../bin/b.wasm\"

[versions.env]
# for the logs
LEVEL = \"info\"
NAME = \"shop\"

# who gets what
[traffic]
split = { v1 = 90, v2 = 10 }
";

/// What of a text is between two of its lines.
fn without<'a>(text: &'a str, from: &str, to: &str) -> (&'a str, &'a str) {
    let end = text.find(to).unwrap();
    (&text[..text.find(from).unwrap()], &text[end..])
}

#[test]
fn a_version_comes_after_the_last_one() {
    let site = Site::new(SHOP);
    let env = [("B", "x\"y\n"), ("A", "")];
    let mut new = with_env(version("v3", site.path("bin/c.wasm")), &env);
    new.remark = Some("third".to_owned());
    let mut file = site.open();
    file.text.add_version(&new);
    file.save(&site.main()).unwrap();
    let (before, after) = without(SHOP, "\n# who gets what", "\n# who gets what");
    let text = site.text();
    let added = text.strip_prefix(before).unwrap().strip_suffix(after).unwrap();
    let digest = digest(1);
    let head = format!(
        "\n[[versions]]\nname = \"v3\"\ncomponent = \"../bin/c.wasm\"\ndigest = \"{digest}\"\n\
         remark = \"third\"\n"
    );
    assert!(added.starts_with(&head), "{added}");
    let declared = &site.config().environments[0].services[0].versions[2];
    let plain = |text: &str| EnvValue::Plain(text.to_owned());
    assert_eq!(guest(declared).component, site.path("bin/c.wasm"));
    assert_eq!(declared.env(), [("A".to_owned(), plain("")), ("B".to_owned(), plain("x\"y\n"))]);
}

#[test]
fn a_component_is_relative_where_both_share_a_directory() {
    let site = Site::new(SHOP);
    let elsewhere = Path::new("/srv/x/c.wasm");
    let mut file = site.open();
    file.text.add_version(&version("far", elsewhere));
    file.text.add_version(&version("beside", site.path("services/c.wasm")));
    file.save(&site.main()).unwrap();
    assert!(site.text().contains("component = \"/srv/x/c.wasm\""), "{}", site.text());
    assert!(site.text().contains("component = \"c.wasm\""), "{}", site.text());
    let versions = &site.config().environments[0].services[0].versions;
    assert_eq!(guest(&versions[2]).component, elsewhere);
    assert_eq!(guest(&versions[3]).component, site.path("services/c.wasm"));
}

#[test]
fn a_replaced_version_keeps_its_place_its_limits_and_its_comments() {
    let (text, service) = edited(SHOP, |file| {
        file.replace_version(&with_env(version("v1", "/srv/x.wasm"), &[("A", "2"), ("C", "3")]));
    });
    let (before, after) = without(SHOP, "component = \"../bin/a", "\n[versions.limits]");
    let digest = digest(1);
    let expected = format!(
        "component = \"/srv/x.wasm\" # built by hand\n\
         env = {{ A = \"2\", C = \"3\" }} # what it sees\nremark = \"first\"\ndigest = \"{digest}\"\n"
    );
    assert_eq!(text, format!("{before}{expected}{after}"));
    assert_eq!(guest(&service.versions[0]).limits.memory.to_string(), "64MiB");
    assert_eq!((service.versions[0].remark.as_deref(), service.versions.len()), (Some("first"), 2));
}

#[test]
fn an_environment_in_a_table_of_its_own_stays_there() {
    let (text, _) = edited(SHOP, |file| {
        let env = [("LEVEL", "debug"), ("X", "y")];
        file.replace_version(&with_env(version("v2", "/srv/x.wasm"), &env));
    });
    let expected = "[versions.env]\n# for the logs\nLEVEL = \"debug\"\nX = \"y\"\n\n# who";
    assert!(text.contains(expected), "{text}");
    let (text, service) = edited(SHOP, |file| {
        file.replace_version(&version("v2", "/srv/x.wasm"));
    });
    assert!(text.contains("[versions.env]\n# for the logs\n"), "{text}");
    assert_eq!(service.versions[1].env().len(), 2, "without one of its own it keeps what it has");
}

#[test]
fn a_version_that_is_not_there_is_added() {
    let (_, service) = edited(SHOP, |file| file.replace_version(&version("v3", "/srv/x.wasm")));
    assert_eq!(service.versions[2].name, name("v3"));
}

#[test]
fn a_removed_version_takes_its_tables_and_its_comment_along() {
    let (text, service) = edited(SHOP, |file| {
        file.remove_version(&name("v1"));
        file.set_split(&shares(&[("v2", 100.0)]));
    });
    let (before, after) = without(SHOP, "# the first release", "# the second release");
    assert_eq!(text, format!("{before}{after}").replace("v1 = 90, v2 = 10", "v2 = 100"));
    assert_eq!(service.versions.len(), 1);
    let (text, _) = edited(SHOP, |file| {
        file.set_split(&shares(&[("v1", 100.0)]));
        file.remove_version(&name("v2"));
    });
    let (before, after) = without(SHOP, "# the second release", "# who gets what");
    assert_eq!(text, format!("{before}{after}").replace("v1 = 90, v2 = 10", "v1 = 100"));
}

#[test]
fn tables_of_a_version_may_be_anywhere_below_it() {
    let before = "[[versions]]\nname = \"v1\"\ncomponent = \"a\"\n\n[traffic]\nlatest = true\n\n\
                  # its limits\n[versions.limits]\nmemory = \"1MiB\"\n";
    let (text, service) = edited(before, |file| {
        file.add_version(&version("v2", "/b"));
        file.remove_version(&name("v1"));
    });
    assert!(
        text.starts_with("[traffic]\nlatest = true\n\n[[versions]]\nname = \"v2\"\n"),
        "{text}"
    );
    assert_eq!(guest(&service.versions[0]).limits.memory.to_string(), "128MiB");
}

#[test]
fn the_comment_at_the_top_stays_when_all_is_removed() {
    let before = "#:schema x\n# top\n\n[[versions]]\nname = \"v1\"\ncomponent = \"a\"\n# end\n";
    let site = Site::new(before);
    let mut file = site.open();
    file.text.remove_version(&name("v1"));
    assert_eq!(file.text.to_string(), "#:schema x\n# top\n\n# end\n");
    let refused = said(&file.save(&site.main()).unwrap_err());
    assert!(refused.contains("the file declares nothing"), "{refused}");
    assert_eq!(site.text(), before);
}

#[test]
fn a_split_of_nobody_is_none() {
    let (text, service) = edited(
        "name = \"shop\"\ntraffic.split.v1 = 100\n[[versions]]\nname = \"v1\"\ncomponent = \"a\"\n",
        |file| {
            file.remove_version(&name("v1"));
        },
    );
    assert_eq!(text, "name = \"shop\"\n");
    assert_eq!((split_of(&service), service.versions.len()), (None, 0));
}

#[test]
fn versions_in_brackets_stay_in_brackets() {
    let before = "\
versions = [ # all
    { name = \"v1\", component = \"a\" }, # one
    # the second
    { name = \"v2\", component = \"b\", env = { A = \"1\" } }, # two
] # end
";
    let (text, service) = edited(before, |file| {
        file.add_version(&version("v3", "/c"));
        file.remove_version(&name("v2"));
        file.replace_version(&version("v1", "/d"));
    });
    let digest = digest(1);
    let expected = format!(
        "\
versions = [ # all
    {{ name = \"v1\", component = \"/d\", digest = \"{digest}\" }}, # one
    {{ name = \"v3\", component = \"/c\", digest = \"{digest}\" }},
] # end
"
    );
    assert_eq!(text, expected);
    assert_eq!(service.versions.len(), 2);
    let (text, _) = edited("versions = []\n", |file| file.add_version(&version("v1", "/c")));
    let one = format!("{{ name = \"v1\", component = \"/c\", digest = \"{digest}\" }}");
    assert!(
        text == format!("versions = [{one}]\n") || text == format!("versions = [ {one} ]\n"),
        "{text}"
    );
}

fn upstream(text: &str, targets: &[&str]) -> NewVersion {
    let targets = targets.iter().map(|target| parse_target(target).unwrap()).collect();
    let backend = NewBackend::Upstream(targets);
    NewVersion { name: name(text), backend, digest: digest(1), remark: None, limits: Vec::new() }
}

/// In the place of a component an upstream leaves nothing of it, and in the place of an upstream it keeps the settings.
#[test]
fn an_upstream_takes_the_place_of_either_kind() {
    let (text, service) = edited(SHOP, |file| {
        file.replace_version(&upstream("v1", &["10.0.0.7:9001", "api.internal:80"]));
    });
    let spec = service.versions[0].upstream().unwrap();
    assert_eq!((spec.targets.len(), service.versions[0].remark.as_deref()), (2, Some("first")));
    let head = text.split("# the second release").next().unwrap();
    for gone in ["component", "env", "memory", "digest"] {
        assert!(!head.contains(gone), "{gone}: {text}");
    }
    assert!(text.starts_with("#:schema ../schema/service.json\n# All about the shop.\n"), "{text}");

    let long = "[[versions]]\nname = \"v1\"\n[versions.upstream]\n# by hand\ntargets = [\"a:1\"]\nbalance = \"random\"\n";
    let (text, _) = edited(long, |file| file.replace_version(&upstream("v1", &["b:2"])));
    assert_eq!(text, long.replace("a:1", "b:2"));
    let dotted = "[[versions]]\nname = \"v1\"\nupstream.targets = [\"a:1\"]\nupstream.balance = \"random\"\n";
    let (text, _) = edited(dotted, |file| file.replace_version(&upstream("v1", &["b:2"])));
    assert_eq!(text, dotted.replace("a:1", "b:2"));
    let braces =
        "[[versions]]\nname = \"v1\"\nupstream = { targets = [\"a:1\"], balance = \"random\" }\n";
    let (text, _) = edited(braces, |file| file.replace_version(&upstream("v1", &["b:2"])));
    assert_eq!(text, braces.replace("a:1", "b:2"));
    let (text, service) = edited(long, |file| file.replace_version(&version("v1", "/srv/x.wasm")));
    assert!(!text.contains("upstream") && service.versions[0].guest().is_some(), "{text}");
}

#[test]
fn an_upstream_is_added_in_its_short_form() {
    let (text, service) = edited(SHOP, |file| file.add_version(&upstream("v3", &["[::1]:80"])));
    assert!(text.contains("\n[[versions]]\nname = \"v3\"\nupstream = [\"[::1]:80\"]\n"), "{text}");
    assert_eq!(service.versions.len(), 3);
}
