//! `/metrics` in both of its formats: what scrapers and linters read, and how much there is of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{
    GREETER, Http1, Site, Watershed, done, eventually, greeter, lab, one_version, split,
};

const OPEN_METRICS: &str = "accept: application/openmetrics-text; version=1.0.0";

/// Both formats as they are now.
fn scrape(watershed: &Watershed) -> [String; 2] {
    ["accept: text/plain", OPEN_METRICS].map(|accept| {
        let address = watershed.admin_address();
        let answer = Http1::connect(address).ask("GET", "localhost", "/metrics", &[accept], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        let kind = answer.header("content-type").unwrap().to_owned();
        assert_eq!(answer.header("vary"), Some("accept"));
        let expected = match accept {
            OPEN_METRICS => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            _ => "text/plain; version=0.0.4; charset=utf-8",
        };
        assert_eq!(kind, expected);
        answer.text()
    })
}

/// A family of metrics, as the specifications of the formats want it.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    has_help: bool,
    unit: Option<String>,
    /// Values by the name and labels of a series.
    samples: BTreeMap<String, f64>,
}

/// Reads a scrape, and fails where any line is not as the format says.
#[track_caller]
fn parse(text: &str, is_open_metrics: bool) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut open = String::new();
    assert!(text.ends_with('\n') && !text.contains('\r') && !text.contains("\n\n"));
    assert_eq!(text.ends_with("# EOF\n"), is_open_metrics);
    assert_eq!(text.matches("# EOF").count(), usize::from(is_open_metrics));
    for line in text.lines().filter(|line| *line != "# EOF") {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        if let ["#", what, name, rest] = words.as_slice() {
            assert!(is_name(name), "{line}");
            if *name != open {
                open = (*name).to_owned();
                let known = families.insert(open.clone(), Family::default());
                assert!(known.is_none(), "{line}: the family is in two places");
            }
            let family = families.get_mut(*name).unwrap();
            assert!(family.samples.is_empty(), "{line}: it is after samples");
            match *what {
                "HELP" => {
                    assert!(!rest.contains(['"', '\\']) && !family.has_help, "{line}");
                    family.has_help = true;
                }
                "TYPE" => family.kind = (*rest).to_owned(),
                "UNIT" if is_open_metrics => family.unit = Some((*rest).to_owned()),
                _ => panic!("{line}"),
            }
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
                None => (series, ""),
            };
            assert_labels(labels);
            let family = families.get_mut(&open).expect(line);
            assert!(
                suffixes(family, is_open_metrics)
                    .iter()
                    .any(|suffix| { name == format!("{open}{suffix}") }),
                "{line} is in the family {open}, {family:?}"
            );
            let value: f64 = value.parse().expect(line);
            let twice = family.samples.insert(series.to_owned(), value);
            assert!(twice.is_none(), "{line}: the series is there twice");
        }
    }
    families
}

fn suffixes(family: &Family, is_open_metrics: bool) -> &'static [&'static str] {
    match family.kind.as_str() {
        "counter" if is_open_metrics => &["_total"],
        "counter" | "gauge" => &[""],
        "histogram" => &["_bucket", "_sum", "_count"],
        kind => panic!("{kind}"),
    }
}

fn is_name(name: &str) -> bool {
    name.chars()
        .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// `name="value",…`, with escapes in values and each name once.
#[track_caller]
fn assert_labels(labels: &str) {
    let (mut rest, mut names) = (labels, BTreeSet::new());
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect(labels);
        assert!(is_name(name) && names.insert(name), "{labels}");
        let mut end = None;
        let mut letters = after.char_indices();
        while let Some((index, letter)) = letters.next() {
            match letter {
                '\\' => assert!(matches!(letters.next(), Some((_, '\\' | '"' | 'n'))), "{labels}"),
                '"' => {
                    end = Some(index);
                    break;
                }
                _ => {}
            }
        }
        rest = &after[end.expect(labels) + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// Every rule that both formats and the practice of naming share.
#[track_caller]
fn assert_clean(families: &BTreeMap<String, Family>, is_open_metrics: bool) {
    for (name, family) in families {
        assert!(family.has_help, "{name} has no help");
        let is_counter = family.kind == "counter";
        assert_eq!(name.ends_with("_total"), is_counter && !is_open_metrics, "{name}");
        for suffix in ["_bucket", "_count", "_sum", "_created"] {
            assert!(!name.ends_with(suffix), "{name} ends as the parts of others do");
        }
        if let Some(unit) = &family.unit {
            assert!(name.ends_with(&format!("_{unit}")), "{name}: {unit}");
        }
        if family.kind == "histogram" {
            assert_histogram(name, family);
        }
        let values = family.samples.values();
        assert!(values.clone().all(|value| value.is_finite()), "{name}: {family:?}");
        assert!(!is_counter || values.clone().all(|value| *value >= 0.0), "{name}");
    }
}

/// Buckets grow, and the last one has what is counted.
fn assert_histogram(name: &str, family: &Family) {
    let mut by_series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, value) in &family.samples {
        let Some((_, labels)) = series.split_once("_bucket{") else { continue };
        let mut labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
        let place = labels.iter().position(|label| label.starts_with("le=")).unwrap();
        let bound = labels.remove(place).trim_start_matches("le=").trim_matches('"');
        let bound: f64 = bound.parse().unwrap();
        by_series.entry(labels.join(",")).or_default().push((bound, *value));
    }
    for (labels, mut buckets) in by_series {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{name}: {buckets:?}");
        let counted = family.samples[&format!("{name}_count{{{labels}}}")];
        let (last, all) = *buckets.last().unwrap();
        assert!(last.is_infinite() && (all - counted).abs() < 0.5, "{name}: {buckets:?}");
        assert!(buckets.len() <= 20, "{name}: {} buckets a version", buckets.len());
    }
}

/// The linter of Prometheus, if this machine has it; `make test` fetches it.
fn promtool() -> Option<PathBuf> {
    let fetched = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/promtool");
    let found = std::env::var_os("PATH").into_iter().flat_map(|path| {
        std::env::split_paths(&path).map(|directory| directory.join("promtool")).collect::<Vec<_>>()
    });
    found.chain([fetched]).find(|path| path.is_file())
}

#[track_caller]
fn assert_linted(text: &str) {
    let Some(promtool) = promtool() else { return };
    let mut linter = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    linter.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let finished = linter.wait_with_output().unwrap();
    let said = [finished.stdout, finished.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(finished.status.success() && said.is_empty(), "{said}\n{text}");
}

/// Linters and scrapers refuse the whole of a scrape for one line (prometheus/prometheus#2618,
/// prometheus/client_rust#151).
#[test]
fn both_formats_are_clean_and_say_the_same() {
    let watershed = Site::new()
        .service("greeter", &(greeter("v1") + &greeter("v2") + &split("v1 = 50, v2 = 50")))
        .service("lab", &lab("v1"))
        .service("off", &(greeter("v1") + &split("v1 = 0")))
        .service("missing", "[[versions]]\nname = \"v1\"\ncomponent = \"no.wasm\"\n")
        .service("wrong", "nonsense")
        .start();
    for _ in 0..10 {
        watershed.assert_serves(GREETER, "/");
    }
    watershed.get("lab.localhost", "/trap");
    watershed.get("nobody.localhost", "/");
    watershed.await_outcomes("2xx", 10);
    watershed.await_outcomes("trap", 1);
    eventually("the version is in error", || {
        watershed.version("missing", "v1")["status"] == "error"
    });
    let [text, open_metrics] = scrape(&watershed);
    let (plain, open) = (parse(&text, false), parse(&open_metrics, true));
    assert_clean(&plain, false);
    assert_clean(&open, true);
    let names = |families: &BTreeMap<String, Family>| -> BTreeSet<String> {
        let names = families.iter().map(|(name, family)| match family.kind.as_str() {
            "counter" => format!("{}_total", name.trim_end_matches("_total")),
            _ => name.clone(),
        });
        names.collect()
    };
    assert_eq!(names(&plain), names(&open));
    assert_linted(&text);
    for series in [
        "watershed_versions{status=\"error\"} 1",
        "watershed_versions{status=\"normal\"} 4",
        "watershed_versions{status=\"creating\"} 0",
        "watershed_version_status{environment=\"default\",service=\"missing\",version=\"v1\",\
         status=\"error\"} 1",
        "watershed_service_offline{environment=\"default\",service=\"off\"} 1",
        "watershed_config_rejected_files 1",
        "process_open_fds ",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "watershed_build_info{version=\"",
    ] {
        assert!(text.lines().any(|line| line.starts_with(series)), "{series}\n{text}");
    }
    // A client of no format of ours is answered all the same (besu-eth/besu#1345).
    let address = watershed.admin_address();
    let accept = ["accept: application/vnd.google.protobuf"];
    let other = Http1::connect(address).ask("GET", "localhost", "/metrics", &accept, b"");
    assert_eq!(other.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
}

#[test]
fn what_is_held_or_quarantined_has_a_series_until_it_ends() {
    let both = |shares: &str| greeter("v1") + &greeter("v2") + &split(shares);
    let watershed = Site::new().service("greeter", &both("v1 = 100, v2 = 0")).start();
    let has = |name: &str| watershed.admin("/metrics").text().contains(&format!("\n{name}{{"));
    assert!(!has("watershed_service_held") && !has("watershed_version_quarantined"));
    let broken = both("v1 = 0, v2 = 0, v3 = 100")
        .replace("[traffic]", "[[versions]]\nname = \"v3\"\ncomponent = \"no.wasm\"\n[traffic]");
    watershed.site.write("services/greeter.toml", &broken);
    eventually("held", || has("watershed_service_held"));
    watershed.site.write("services/greeter.toml", both("v1 = 0, v2 = 100"));
    eventually("held no more", || !has("watershed_service_held"));
    done(&watershed, &["rollback", "greeter", "--bad"]);
    eventually("quarantined", || {
        let labels = [("service", "greeter"), ("version", "v2")];
        watershed.metric("watershed_version_quarantined", &labels) > 0.5
    });
    assert_eq!(watershed.metric("watershed_version_status", &[]), 0.0);
}

/// One process had 44 MB of metrics for ten thousand services that nobody asked for; Knative's grew with each service
/// that came and went (knative/serving#11248).
#[test]
fn services_without_traffic_add_no_series() {
    let mut site = Site::new().service("greeter", &one_version("v1"));
    let idle = greeter("v1") + &greeter("v2") + &split("v1 = 50, v2 = 50");
    for number in 0..200 {
        site = site.service(&format!("idle-{number}"), &idle);
    }
    let watershed = site.start();
    eventually("ready", || watershed.admin("/readyz").status == 200);
    watershed.assert_serves(GREETER, "/");
    watershed.await_outcomes("2xx", 1);
    for text in scrape(&watershed) {
        assert!(!text.contains("idle-"), "{text}");
        assert!(text.len() < 16 << 10, "{} bytes", text.len());
    }
    watershed.assert_serves("idle-7.localhost", "/");
    watershed.await_outcomes("2xx", 2);
    eventually("its series", || {
        let labels = [("service", "idle-7")];
        watershed.metric("watershed_request_duration_seconds_count", &labels) > 0.5
    });
}
