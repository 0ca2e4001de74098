//! h2spec, which checks a server of HTTP/2 against RFC 9113 and RFC 7541 in 147 cases. `tests/h2spec/install.sh` builds it
//! where its sources can be had. Without it, the test says so, and passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::https::secure;
use crate::support::{Finished, Site, Watershed, lab_p3};

/// What h2spec wants and does not get, and why.
const REFUSED: &[(&str, &str)] = &[(
    "http2/3.5 Sends invalid connection preface",
    "The port serves HTTP/1.1 too, and what is no preface is told so in its words: 400, and closed. h2spec reads a frame.",
)];

fn h2spec() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/h2spec");
    built.is_file().then_some(built)
}

/// The cases and what became of them: `None` where they passed.
fn cases(report: &str) -> BTreeMap<String, Option<String>> {
    let attribute = |case: &str, name: &str| {
        let (_, rest) = case.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.replace("&#34;", "\"").replace("&#39;", "'")
    };
    let cases = report.split("<testcase ").skip(1).map(|case| {
        let name = format!("{} {}", attribute(case, "package"), attribute(case, "classname"));
        let (case, _) = case.split_once("</testcase>").unwrap();
        let wrong = ["<failure", "<error", "<skipped"].iter().any(|it| case.contains(it));
        (name, wrong.then(|| case.to_owned()))
    });
    cases.collect()
}

#[track_caller]
fn assert_conforms(watershed: &Watershed, arguments: &[&str], refused: &[(&str, &str)]) {
    let Some(h2spec) = h2spec() else {
        return eprintln!("not tested: h2spec is not installed (tests/h2spec/install.sh)");
    };
    let report = watershed.site.path("h2spec.xml");
    let mut command = Command::new(h2spec);
    command.args(["--strict", "--timeout", "5", "--host", "localhost"]);
    // Some cases are about a stream that is open still: its answer must not be faster than their next frame.
    command.args(["--path", "/sleep?ms=100", "--junit-report"]);
    command.arg(&report).args(arguments);
    let finished = Finished::of(command);
    let cases = cases(&std::fs::read_to_string(report).unwrap());
    assert!(cases.len() > 140, "{}", finished.said());
    let failed: BTreeMap<_, _> = cases.iter().filter(|(_, wrong)| wrong.is_some()).collect();
    let names: Vec<_> = failed.keys().map(|name| name.as_str()).collect();
    let expected: Vec<_> = refused.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected, "{failed:?}");
}

/// A service under the name that h2spec asks for.
fn serve(site: Site) -> Watershed {
    let version = lab_p3("v1");
    site.service("lab", &format!("domains = [\"localhost\"]\n{version}")).start()
}

#[test]
fn what_h2spec_wants_in_cleartext_it_gets() {
    let watershed = serve(Site::new());
    let port = watershed.address().port().to_string();
    assert_conforms(&watershed, &["--port", &port], REFUSED);
}

#[test]
fn what_h2spec_wants_over_tls_it_gets() {
    let watershed = serve(secure(""));
    let port = watershed.https_address().port().to_string();
    assert_conforms(&watershed, &["--tls", "--insecure", "--port", &port], REFUSED);
}
