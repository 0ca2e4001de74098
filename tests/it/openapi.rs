//! The description of the admin API, and a fuzzer that believes it: every answer of the real binary is one that the
//! description has.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Http1, Site, Watershed, one_version};

/// Where `tests/peers/install.sh` puts the fuzzer.
const FUZZER: &str = "target/peers/api/bin/python";

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";

/// A stream, which does not end by itself; bytes that the fuzzer does not know how to make; a probe whose 503 is an
/// answer as good as any; and what ends the process that is asked.
const LEFT_OUT: [&str; 4] = ["/api/v1/events", "/api/v1/components", "/readyz", "/api/v1/restart"];

fn serve() -> Watershed {
    Site::new().service("greeter", &one_version("v1")).start()
}

#[test]
fn every_path_of_the_description_is_served() {
    let watershed = serve();
    let described = watershed.admin("/api/v1/openapi.json");
    assert_eq!(described.header("content-type"), Some("application/json"));
    let described = described.json();
    assert_eq!(described["openapi"], "3.1.0");
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() > 15, "{paths:?}");
    for (path, methods) in paths {
        let path = path.replace("{environment}", "default").replace("{service}", "greeter");
        let mut client = Http1::connect(watershed.admin_address());
        let answer = client.ask("OPTIONS", "localhost", &path, &[], b"");
        assert_eq!(answer.status, 204, "{path}: {answer:?}");
        let allowed = answer.header("allow").unwrap().to_ascii_lowercase();
        for method in methods.as_object().unwrap().keys() {
            assert!(allowed.split(", ").any(|known| known == method), "{method} {path}: {allowed}");
        }
    }
    // What a path takes is described, and so is what it refuses.
    let traffic = &described["paths"]["/api/v1/services/{environment}/{service}/traffic"]["post"];
    assert_eq!(traffic["parameters"][0]["name"], "environment", "{traffic:#}");
    let taken = &traffic["requestBody"]["content"]["application/json"]["schema"];
    assert!(taken["properties"]["shares"].is_object(), "{taken:#}");
    assert_eq!(taken["additionalProperties"], Value::Bool(false), "{taken:#}");
}

/// A description that says more or less than the program is worse than none (schemathesis/schemathesis#1343 is how a
/// fuzzer overlooked it, envoyproxy/envoy#6436 how an admin API answered with another status than said).
#[test]
fn a_fuzzer_finds_no_answer_that_is_not_described() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(FUZZER);
    if !python.exists() {
        return;
    }
    let watershed = serve();
    let url = format!("http://{}", watershed.admin_address());
    let directory = tempfile::tempdir().unwrap();
    let mut fuzzer = Command::new("timeout");
    fuzzer
        .arg("300")
        .arg(python)
        .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"]);
    fuzzer.args(["run", &format!("{url}/api/v1/openapi.json"), "--url", &url]);
    fuzzer.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1"]);
    for path in LEFT_OUT {
        fuzzer.args(["--exclude-path", path]);
    }
    fuzzer.args(["--request-timeout", "30"]);
    fuzzer.args(["--checks", CHECKS]);
    fuzzer.args(["--suppress-health-check", "all", "--warnings", "off", "--no-color"]);
    let output = fuzzer.current_dir(directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // It still serves, and nothing panicked.
    assert_eq!(watershed.admin("/livez").status, 200);
    assert!(!watershed.stderr().contains("panicked"), "{}", watershed.stderr());
}
