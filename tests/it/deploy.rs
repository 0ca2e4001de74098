//! What is under `deploy/` is right for this program: its files of configuration are, the unit is as closed as its page
//! says, and the manifests are what they were when their schemas were asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::Site;

/// The exposure of the unit as `systemd-analyze security` counts it. `docs/deploy.md` names it.
const EXPOSURE: &str = "1.7";

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn read(name: &str) -> String {
    let path = deploy(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The output of a program; `None` where this machine has no such program.
fn output(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(_) => {
            eprintln!("not tried: there is no {program}");
            None
        }
    }
}

/// What systemd says of a unit that starts this program.
#[test]
fn the_unit_is_right_and_closed() {
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("watershed.service");
    let text = read("systemd/watershed.service");
    let program = env!("CARGO_BIN_EXE_watershed");
    fs::write(&unit, text.replace("/usr/bin/watershed", program)).unwrap();
    let socket = directory.path().join("watershed.socket");
    fs::write(&socket, read("systemd/socket/watershed.socket")).unwrap();
    let [unit, socket] = [&unit, &socket].map(|path| path.to_str().unwrap());
    let arguments = ["verify", "--man=no", "--recursive-errors=no", unit, socket];
    let Some(verified) = output("systemd-analyze", &arguments) else { return };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success(), "{said}");
    let about_us: Vec<_> = said.lines().filter(|line| line.contains("watershed.s")).collect();
    assert!(about_us.is_empty(), "{about_us:?}");
    let Some(security) = output("systemd-analyze", &["security", "--offline=true", unit]) else {
        return;
    };
    let said = String::from_utf8_lossy(&security.stdout).into_owned();
    let overall =
        said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or(&said);
    assert!(overall.contains(&format!(": {EXPOSURE} ")), "{overall}");
    let page = fs::read_to_string(deploy("../docs/deploy.md")).unwrap();
    assert!(page.contains(EXPOSURE), "docs/deploy.md does not say {EXPOSURE}");
}

/// A stop has the time that the files of the package, and every default, ask for.
#[test]
fn the_unit_gives_a_stop_its_time() {
    let unit = read("systemd/watershed.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let seconds: u64 = line.trim_end_matches('s').parse().unwrap();
    let config = Site::new().run(&["schema", "watershed"]).stdout;
    let schema: serde_json::Value = serde_json::from_str(&config).unwrap();
    let server = &schema["properties"]["server"]["properties"];
    let default = |key: &str| {
        let text = server[key]["default"].as_str().unwrap();
        text.trim_end_matches('s').parse::<u64>().unwrap()
    };
    assert!(seconds > default("drain-delay") + default("grace-period"), "{seconds}");
}

#[test]
fn the_packages_files_are_right() {
    let text = read("debian/watershed.toml");
    let site = Site::new();
    site.write(
        "watershed.toml",
        text.replace("/var/lib/watershed", site.path("var").to_str().unwrap()),
    );
    let checked = site.run(&["check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.said());
    for script in ["debian/postinst", "debian/postrm"] {
        let script = deploy(script);
        let Some(read) = output("sh", &["-n", script.to_str().unwrap()]) else { return };
        assert!(read.status.success(), "{read:?}");
    }
}

/// The configuration that the pods get, with a certificate and a token in the place of their Secrets.
#[test]
fn the_pods_files_are_right() {
    let site = Site::new();
    for name in ["main/watershed.toml", "services/shop.toml"] {
        let text = read(&format!("kubernetes/config/{name}"));
        // Their names are known in a cluster alone.
        let text = text.replace(".default.svc.cluster.local", "").replace("shop-v", "127.0.0.");
        site.write(name, text);
    }
    let names = vec!["www.example.com".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    site.write("certificates/tls.crt", made.cert.pem());
    site.write("certificates/tls.key", made.signing_key.serialize_pem());
    site.write("tokens/tokens", "viewer 7d793037 prometheus\n");
    let main = site.path("main/watershed.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
    command.args(["check", "--config"]).arg(main);
    let checked = crate::support::Finished::of(command);
    assert_eq!(checked.code, Some(0), "{}", checked.said());
}

/// Kustomize takes the manifests, and what they say of times and paths is what the files say.
#[test]
fn the_manifests_agree_with_the_pods_files() {
    let main = read("kubernetes/config/main/watershed.toml");
    let main: toml::Table = main.parse().unwrap();
    let server = main["server"].as_table().unwrap();
    let seconds =
        |key: &str| server[key].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
    let deployment = read("kubernetes/deployment.yaml");
    let grace = deployment.lines().find_map(|line| {
        line.trim().strip_prefix("terminationGracePeriodSeconds: ")?.parse::<u64>().ok()
    });
    assert!(grace.unwrap() > seconds("drain-delay") + seconds("grace-period"));
    let health = server["health-path"].as_str().unwrap();
    assert!(deployment.contains(&format!("path: {health}\n")), "{health}");
    for port in ["8080", "8443", "9090"] {
        assert!(deployment.contains(&format!("containerPort: {port}\n")), "{port}");
    }
    let directory = deploy("kubernetes");
    let Some(built) = output("kubectl", &["kustomize", directory.to_str().unwrap()]) else {
        return;
    };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let built = String::from_utf8_lossy(&built.stdout).into_owned();
    let kinds = [
        "ServiceAccount",
        "ConfigMap",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    ];
    for kind in kinds {
        assert!(built.contains(&format!("\nkind: {kind}\n")), "{kind}");
    }
    assert!(built.contains("name: watershed-main\n") && !built.contains("selector: {}"), "{built}");
}
