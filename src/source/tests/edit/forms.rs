//! The split and the quarantine in every form in which they can be written.

use super::*;

const VERSIONS: &str = "\
[[versions]]
name = \"v1\"
component = \"a.wasm\"

[[versions]]
name = \"v2\"
component = \"b.wasm\"
";

/// Asserts what becomes of `traffic`, which is written after the versions.
#[track_caller]
fn assert_split(traffic: &str, to: &[(&str, f64)], expected: &str) {
    let (text, service) =
        edited(&format!("{VERSIONS}{traffic}"), |file| file.set_split(&shares(to)));
    assert_eq!(text, format!("{VERSIONS}{expected}"));
    assert_means(&service, to);
}

#[track_caller]
fn assert_means(service: &Service, to: &[(&str, f64)]) {
    let mut wanted: Vec<_> = shares(to).iter().map(|(v, s)| (v.to_string(), *s)).collect();
    wanted.sort();
    assert_eq!(split_of(service), Some(wanted));
}

#[test]
fn braces_stay_braces() {
    assert_split(
        "\n[traffic]\nsplit = { v1 = 90, v2 = 10 }    # or: latest = true\n",
        &[("v1", 87.5), ("v2", 12.5)],
        "\n[traffic]\nsplit = { v1 = 87.5, v2 = 12.5 }    # or: latest = true\n",
    );
    assert_split(
        "\n[traffic]\nsplit = { v1 = 100 } # all\n",
        &[("v2", 10.0), ("v1", 90.0)],
        "\n[traffic]\nsplit = { v1 = 90, v2 = 10 } # all\n",
    );
    assert_split(
        "\n[traffic]\nsplit = {v1=90,v2=10}\n",
        &[("v2", 100.0)],
        "\n[traffic]\nsplit = {v2=100}\n",
    );
    assert_split(
        "\n[traffic]\nsplit = { v1 = 90, v2 = 10 }\n",
        &[("v1", 100.0)],
        "\n[traffic]\nsplit = { v1 = 100 }\n",
    );
    assert_split(
        "\n[traffic]\nsplit = {}\n",
        &[("v1", 100.0)],
        "\n[traffic]\nsplit = { v1 = 100 }\n",
    );
}

#[test]
fn what_is_said_already_stays_as_it_is_written() {
    let site = Site::new(&format!("{VERSIONS}[traffic]\nsplit = {{ 'v1' = 90.0, v2 = 1e1 }}"));
    let mut file = site.open();
    file.text.set_split(&shares(&[("v1", 90.0), ("v2", 10.0)]));
    assert!(!file.text.is_changed());
    assert_eq!(file.text.to_string(), site.text(), "not even the end of the last line");
    file.save(&site.main()).unwrap();
}

#[test]
fn a_table_stays_a_table() {
    assert_split(
        "\n[traffic.split]\n# the old one\nv1 = 90 # most\nv2 = 10\n# end\n",
        &[("v1", 5.25), ("v2", 94.75)],
        "\n[traffic.split]\n# the old one\nv1 = 5.25 # most\nv2 = 94.75\n# end\n",
    );
    assert_split(
        "\n[traffic.split] # who\n# the old one\nv1 = 90\n# the new one\nv2 = 10\n",
        &[("v2", 100.0)],
        "\n[traffic.split] # who\n# the new one\nv2 = 100\n",
    );
    assert_split(
        "\n[traffic.split]\nv1 = 100\n",
        &[("v2", 100.0)],
        "\n[traffic.split]\nv2 = 100\n",
    );
}

#[test]
fn dotted_keys_stay_dotted() {
    let (text, service) = edited(
        &format!("# top\n\ntraffic.split.v1 = 90 # most\ntraffic.split.v2 = 10\n\n{VERSIONS}"),
        |file| file.set_split(&shares(&[("v2", 100.0)])),
    );
    assert_eq!(text, format!("# top\n\ntraffic.split.v2 = 100\n\n{VERSIONS}"));
    assert_means(&service, &[("v2", 100.0)]);
    assert_split(
        "\n[traffic]\nsplit.v1 = 90 # most\nsplit.v2 = 10\n",
        &[("v1", 20.0), ("v2", 80.0)],
        "\n[traffic]\nsplit.v1 = 20 # most\nsplit.v2 = 80\n",
    );
    assert_split(
        "\n[traffic]\nsplit.v1 = 100\n",
        &[("v1", 20.0), ("v2", 80.0)],
        "\n[traffic]\nsplit.v1 = 20\nsplit.v2 = 80\n",
    );
}

#[test]
fn traffic_in_braces_stays_in_braces() {
    for (before, after) in [
        ("{ split = { v1 = 90, v2 = 10 } } # who", "{ split = { v1 = 80, v2 = 20 } } # who"),
        ("{ split.v1 = 90, split.v2 = 10 }", "{ split.v1 = 80, split.v2 = 20 }"),
        ("{ latest = true } # all", "{ split = { v1 = 80, v2 = 20 } } # all"),
        ("{}", "{ split = { v1 = 80, v2 = 20 } }"),
    ] {
        let (text, service) = edited(&format!("traffic = {before}\n\n{VERSIONS}"), |file| {
            file.set_split(&shares(&[("v1", 80.0), ("v2", 20.0)]));
        });
        assert_eq!(text, format!("traffic = {after}\n\n{VERSIONS}"));
        assert_means(&service, &[("v1", 80.0), ("v2", 20.0)]);
    }
}

#[test]
fn braces_over_several_lines_keep_their_lines() {
    let braces = |lines: &str| format!("\n[traffic]\nsplit = {{ # who\n{lines}}} # end\n");
    let both = braces("    v1 = 90, # most\n    # the new one\n    v2 = 10, # few\n");
    assert_split(
        &both,
        &[("v1", 50.0), ("v2", 50.0)],
        &both.replace("90", "50").replace("10", "50"),
    );
    assert_split(&both, &[("v1", 100.0)], &braces("    v1 = 100, # most\n"));
    assert_split(&both, &[("v2", 100.0)], &braces("    # the new one\n    v2 = 100, # few\n"));
    for comma in [",", ""] {
        assert_split(
            &braces(&format!("    v1 = 100{comma} # most\n")),
            &[("v1", 99.0), ("v2", 1.0)],
            &braces(&format!("    v1 = 99, # most\n    v2 = 1{comma}\n")),
        );
        assert_split(
            &braces(&format!("    v1 = 90, # most\n    v2 = 10{comma} # few\n")),
            &[("v1", 100.0)],
            &braces(&format!("    v1 = 100{comma} # most\n")),
        );
    }
}

#[test]
fn without_traffic_it_comes_after_the_versions() {
    assert_split("", &[("v1", 100.0)], "\n[traffic]\nsplit = { v1 = 100 }\n");
    let quarantine =
        format!("\n# bad\n[[quarantine]]\ndigest = \"{}\"\nversion = \"v0\"\n", digest(9));
    let expected = format!("\n[traffic]\nsplit = {{ v1 = 100 }}\n{quarantine}");
    assert_split(&quarantine, &[("v1", 100.0)], &expected);
    assert_split("[traffic]\n", &[("v1", 100.0)], "[traffic]\nsplit = { v1 = 100 }\n");
}

#[test]
fn latest_gives_way_and_leaves_its_comments() {
    assert_split(
        "\n[traffic]\n# who\nlatest = true   # a full upgrade\n",
        &[("v1", 90.0), ("v2", 10.0)],
        "\n[traffic]\n# who\nsplit = { v1 = 90, v2 = 10 }   # a full upgrade\n",
    );
    assert_split(
        "\n[traffic]\nlatest = false\nsplit = { v1 = 100 }\n",
        &[("v2", 100.0)],
        "\n[traffic]\nsplit = { v2 = 100 }\n",
    );
    let (text, _) = edited(&format!("traffic.latest = true # all\n{VERSIONS}"), |file| {
        file.set_split(&shares(&[("v1", 100.0)]));
    });
    assert_eq!(text, format!("traffic.split = {{ v1 = 100 }} # all\n{VERSIONS}"));
}

#[test]
fn ends_of_lines_and_the_mark_stay() {
    let before = format!("\u{feff}{VERSIONS}\n[traffic]\nsplit = {{ v1 = 100 }} # a\n");
    let before = before.replace('\n', "\r\n");
    let (text, _) = edited(&before, |file| {
        file.set_split(&shares(&[("v2", 100.0)]));
        file.add_version(&version("v3", "/srv/c.wasm"));
    });
    assert!(text.starts_with("\u{feff}[[versions]]\r\n"), "{text:?}");
    assert!(text.ends_with("\r\n[traffic]\r\nsplit = { v2 = 100 } # a\r\n"), "{text:?}");
    assert_eq!(text.matches("\r\n").count(), text.matches('\n').count(), "{text:?}");
}

#[test]
fn quarantine_comes_last_and_only_once() {
    let before = format!("[traffic]\nlatest = true\n\n{VERSIONS}");
    let whole = Quarantined {
        env: Some(digest(7)),
        remark: Some("too slow".to_owned()),
        ..quarantined("v2", 5)
    };
    let (text, service) = edited(&before, |file| {
        file.quarantine(&quarantined("v1", 4));
        file.quarantine(&whole);
        file.quarantine(&Quarantined { remark: None, ..whole.clone() });
        file.quarantine(&quarantined("again", 4));
    });
    let (four, five, seven) = (digest(4), digest(5), digest(7));
    let expected = format!(
        "{before}\n[[quarantine]]\ndigest = \"{four}\"\nversion = \"v1\"\n\n[[quarantine]]\n\
         digest = \"{five}\"\nversion = \"v2\"\nenv = \"{seven}\"\nremark = \"too slow\"\n"
    );
    assert_eq!(text, expected);
    assert_eq!(service.quarantine, [quarantined("v1", 4), whole.clone()]);
    let (text, service) = edited(&expected, |file| {
        file.release(&quarantined("v2", 5));
        file.release(&quarantined("v1", 4));
    });
    assert_eq!(service.quarantine, std::slice::from_ref(&whole), "the environment counts");
    let (text, _) = edited(&text, |file| file.release(&whole));
    assert_eq!(text, before);
}

#[test]
fn quarantine_in_brackets_stays_in_brackets() {
    let entry = |byte| format!("{{ digest = \"{}\", version = \"v{byte}\" }}", digest(byte));
    let list = |items: &str| format!("quarantine = [{items}] # bad ones\n{VERSIONS}");
    let both = list(&format!("{}, {}", entry(1), entry(2)));
    let (text, service) = edited(&both, |file| {
        file.release(&quarantined("x", 1));
        file.quarantine(&quarantined("v3", 3));
    });
    assert_eq!(text, list(&format!("{}, {}", entry(2), entry(3))));
    assert_eq!(service.quarantine, [quarantined("v2", 2), quarantined("v3", 3)]);
    let (text, service) = edited(&list(&entry(1)), |file| file.release(&quarantined("x", 1)));
    assert_eq!((text.as_str(), &service.quarantine[..]), (VERSIONS, &[][..]));
}
