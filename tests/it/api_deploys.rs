//! New versions over the admin API: uploads, operations, and what is left of those that fail.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{
    GREETER, Http1, Response, Site, Watershed, assert_admin_problem, eventually, greeter, plugin,
    split, while_requested,
};

const FILE: &str = "services/greeter.toml";
const WASM: &str = "content-type: application/wasm";

fn serve() -> Watershed {
    let text = greeter("v1") + &split("v1 = 100");
    let watershed = Site::new().service("greeter", &text).start();
    eventually("ready", || watershed.admin("/readyz").status == 200);
    watershed
}

fn upload(watershed: &Watershed, bytes: &[u8], headers: &[&str]) -> Response {
    let mut client = Http1::connect(watershed.admin_address());
    client.ask("POST", "localhost", "/api/v1/components", headers, bytes)
}

fn post(watershed: &Watershed, body: &Value) -> Response {
    watershed.admin_post_json("/api/v1/services/default/greeter/versions", body)
}

/// Asks for a deployment, and waits for its end.
#[track_caller]
fn deploy(watershed: &Watershed, body: &Value) -> Value {
    let begun = post(watershed, body);
    assert_eq!(begun.status, 202, "{body}: {begun:?}");
    let id = begun.json()["operation"].as_str().unwrap().to_owned();
    let mut operation = Value::Null;
    eventually("the end of the operation", || {
        operation = watershed.admin(&format!("/api/v1/operations/{id}")).json();
        operation["state"] != "running"
    });
    assert_eq!(operation["id"], *id, "{operation}");
    operation
}

#[test]
fn an_upload_is_deployed_under_traffic_and_no_request_is_lost() {
    let watershed = serve();
    let bytes = fs::read(plugin("greeter")).unwrap();
    let kept = upload(&watershed, &bytes, &[WASM]);
    assert_eq!(kept.status, 201, "{kept:?}");
    assert_eq!(kept.json()["bytes"], bytes.len());
    let digest = kept.json()["digest"].clone();
    assert_eq!(digest, watershed::config::Digest::of(&bytes).to_string());
    let body = json!({
        "name": "v2", "upload": digest, "env": {"VERSION": "v2"}, "remark": "a first try",
        "limits": {"memory": "64MiB", "concurrency": 8}, "traffic": 12.5,
    });
    let right = |response: &Response| response.text().starts_with("Hello from v");
    while_requested(&watershed, right, || {
        let operation = deploy(&watershed, &body);
        assert_eq!(
            (&operation["state"], &operation["step"]),
            (&json!("done"), &json!("done")),
            "{operation}"
        );
        let result = &operation["result"];
        assert_eq!((&result["outcome"], &result["versions"]), (&json!("normal"), &json!(["v2"])));
        assert_eq!(result["shares"][1], json!({"version": "v2", "before": 0.0, "after": 12.5}));
        assert_eq!(operation["user"], "console");
    });
    let text = watershed.site.read(FILE);
    for part in
        ["memory = \"64MiB\"", "concurrency = 8", "remark = \"a first try\"", "VERSION = \"v2\""]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = watershed.admin("/api/v1/operations").json();
    assert_eq!(list["operations"].as_array().unwrap().len(), 1, "{list}");
    let newest = watershed.history("greeter").remove(0);
    assert!(format!("{:?}", newest.author).contains("watershed deploy greeter v2 --traffic 12.5"));
    // What it is made of is a copy: the upload may go.
    let copies = watershed.site.path("components/greeter");
    assert_eq!(fs::read_dir(copies).unwrap().count(), 1);
}

#[test]
fn a_version_waits_beside_the_others_or_takes_everything() {
    let watershed = serve();
    let component = plugin("greeter").display().to_string();
    let version = |name: &str, traffic: Value| json!({"name": name, "component": component, "env": {"VERSION": name}, "traffic": traffic});
    let kept = deploy(&watershed, &version("v2", json!("keep")));
    assert_eq!(kept["result"]["shares"][1]["after"], 0.0, "{kept}");
    let all = deploy(&watershed, &version("v3", json!("all")));
    assert_eq!(all["result"]["shares"][2]["after"], 100.0, "{all}");
    watershed.await_greeting("Hello from v3!\n");
}

/// A version that fails must not take the traffic that was asked for together with it (knative/client#374).
#[test]
fn a_component_that_cannot_be_served_is_taken_out_again() {
    let watershed = serve();
    let before = watershed.site.read(FILE);
    // A component that exports nothing.
    let empty = [0, b'a', b's', b'm', 13, 0, 1, 0];
    let digest = upload(&watershed, &empty, &[WASM]).json()["digest"].clone();
    let failed = deploy(&watershed, &json!({"name": "v2", "upload": digest, "traffic": "all"}));
    assert_eq!((&failed["state"], &failed["step"]), (&json!("failed"), &json!("creating")));
    let error = &failed["error"];
    assert_eq!(error["code"], "version-in-error", "{failed}");
    assert_eq!(error["fault"]["code"], "unsupported-world", "{failed}");
    assert!(!error["fault"]["suggestion"].as_str().unwrap().is_empty(), "{failed}");
    assert!(error["left"].as_str().unwrap().contains("taken out"), "{failed}");
    assert_eq!(watershed.site.read(FILE), before);
    watershed.assert_serves(GREETER, "/");
    let copies = watershed.site.path("components/greeter");
    assert!(fs::read_dir(copies).map_or(0, Iterator::count) == 0, "the copy goes too");
}

#[test]
fn what_is_wrong_is_known_before_anything_is_written() {
    let watershed = serve();
    let before = watershed.site.read(FILE);
    let component = plugin("greeter").display().to_string();
    for body in [
        json!({"name": "v2"}),
        json!({"name": "v2", "component": component, "upload": format!("sha256:{:064}", 0)}),
        json!({"name": "v 2", "component": component}),
        json!({"name": "v2", "component": component, "traffic": 33.333}),
        json!({"name": "v2", "component": component, "traffic": "some"}),
        json!({"name": "v2", "upload": "sha256:12"}),
        json!({"name": "v2", "upstream": []}),
        json!({"name": "v2", "upstream": ["http://127.0.0.1:1"]}),
        json!({"name": "v2", "upstream": ["127.0.0.1:1", "127.0.0.1:1"]}),
        json!({"name": "v2", "upstream": ["127.0.0.1:1"], "env": {"A": "b"}}),
        json!({"name": "v2", "component": component, "limits": {"memory": true}}),
        json!({"name": "v2", "component": component, "replace": true}),
    ] {
        assert_admin_problem(&post(&watershed, &body), 400, "bad-body");
    }
    for (body, code) in [
        (json!({"name": "v1", "component": component}), "version-exists"),
        (json!({"name": "v2", "component": "nothing.wasm"}), "invalid-component"),
        (json!({"name": "v2", "upload": format!("sha256:{:064}", 0)}), "unknown-upload"),
        (json!({"name": "v2", "upstream": ["127.0.0.1:1"], "traffic": 50}), "version-unhealthy"),
        (
            json!({"name": "v2", "component": component, "limits": {"memory": "1KiB"}}),
            "invalid-configuration",
        ),
        (
            json!({"name": "v2", "component": component, "limits": {"colour": 1}}),
            "invalid-configuration",
        ),
    ] {
        let failed = deploy(&watershed, &body);
        assert_eq!(failed["error"]["code"], code, "{failed}");
    }
    let stale =
        json!({"name": "v2", "component": component, "expect": format!("sha256:{:064}", 0)});
    assert_eq!(post(&watershed, &stale).status, 409);
    let dry = post(&watershed, &json!({"name": "v2", "component": component, "dry_run": true}));
    assert!(dry.status == 200 && dry.json()["diff"].as_str().unwrap().contains("v2"), "{dry:?}");
    assert_eq!(watershed.site.read(FILE), before);
    assert_admin_problem(&watershed.admin("/api/v1/operations/nothing"), 404, "unknown-operation");
}

#[test]
fn only_whole_components_are_kept() {
    let watershed = serve();
    let uploads = || {
        let entries = fs::read_dir(watershed.site.path("state/uploads")).into_iter().flatten();
        entries.count()
    };
    let module = [0, b'a', b's', b'm', 1, 0, 0, 0];
    for wrong in [&b"nothing like it"[..], &module, b"\0asm"] {
        assert_admin_problem(&upload(&watershed, wrong, &[WASM]), 422, "invalid-component");
    }
    let text = upload(&watershed, b"x", &["content-type: text/plain"]);
    assert_admin_problem(&text, 415, "unsupported-media-type");
    let length = (256_u64 << 20) + 1;
    let head = "POST /api/v1/components HTTP/1.1\r\nhost: localhost\r\n";
    let mut client = Http1::connect(watershed.admin_address());
    client.send(format!("{head}content-length: {length}\r\nexpect: 100-continue\r\n\r\n"));
    assert_admin_problem(&client.response("POST"), 413, "body-too-long");

    // One that breaks off half-way leaves nothing (nextcloud/server#10800, filebrowser/filebrowser#3538).
    let bytes = fs::read(plugin("greeter")).unwrap();
    let mut client = TcpStream::connect(watershed.admin_address()).unwrap();
    write!(client, "{head}content-length: {}\r\n\r\n", bytes.len()).unwrap();
    client.write_all(&bytes[..bytes.len() / 2]).unwrap();
    eventually("the first half", || uploads() == 1);
    drop(client);
    eventually("nothing is left", || uploads() == 0);
}

/// A disk without room, played by a limit on the size of files: told, and nothing is left of it (OSC/ondemand#260).
#[test]
fn an_upload_that_the_disk_has_no_room_for_is_told_of() {
    let site = Site::new().service("greeter", &(greeter("v1") + &split("v1 = 100")));
    let run = site.command(&["run"]);
    let mut limited = std::process::Command::new("sh");
    // In blocks of 512 bytes: 16 MiB.
    limited.args(["-c", "ulimit -f 32768 && exec \"$@\"", "sh"]).arg(run.get_program());
    limited.args(run.get_args()).current_dir(site.path(""));
    let watershed = Watershed::spawn(site, limited);
    let mut bytes = vec![0; (16 << 20) + (100 << 10)];
    bytes[..8].copy_from_slice(&[0, b'a', b's', b'm', 13, 0, 1, 0]);
    assert_admin_problem(&upload(&watershed, &bytes, &[WASM]), 507, "write-failed");
    let left = fs::read_dir(watershed.site.path("state/uploads")).unwrap();
    assert_eq!(left.count(), 0);
    watershed.assert_serves(GREETER, "/");
}

/// The process ends while a version is made: the version stays declared without traffic, as after `deploy`.
#[test]
fn a_process_that_ends_leaves_the_version_without_traffic() {
    let watershed = serve();
    let component = plugin("lab").display().to_string();
    let body = json!({"name": "v2", "component": component, "traffic": "all"});
    assert_eq!(post(&watershed, &body).status, 202);
    eventually("the version in the file", || watershed.site.read(FILE).contains("\"v2\""));
    let watershed = watershed.restart();
    let v2 = watershed.version("greeter", "v2");
    let share = v2["declared_share"].as_f64().unwrap();
    // The second edit may have been made by the time of the kill.
    assert!(share == 0.0 || share == 100.0, "{v2}");
    assert_eq!(watershed.get(GREETER, "/").status, 200);
    assert_eq!(watershed.admin("/api/v1/operations").json()["operations"], json!([]));
}
