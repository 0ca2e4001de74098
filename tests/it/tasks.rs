//! The process's own tasks outlive their panics.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, geteuid, getrlimit};

use crate::support::{Site, Watershed, eventually, greeter, plugin, split, within};

/// A user that is bound by limits, other than root.
const NOBODY: u32 = 65_534;

/// A panic of the reloader with a real cause: the files cannot be read for want of a thread.
#[test]
fn a_reloader_that_panics_serves_the_edit_once_it_can() {
    let watershed = start_as_nobody(site());
    watershed.await_greeting("Hello from v1!\n");
    let readers = || threads(&watershed, "reloader");
    within(Duration::from_secs(60), "idle threads end", || readers() == 1);

    limit_threads(&watershed, "1");
    watershed.site.replace("services/greeter.toml", service(&watershed.site, "v2 = 100"));
    let panics = [("task", "reloader")];
    eventually("the reloader panics", || {
        watershed.metric("watershed_task_panics_total", &panics) > 0.5
    });
    watershed.log_line(&["ERROR", "reloader", "spawn", "panicked"]);
    watershed.log_line(&["ERROR", "reloader", "starts again"]);
    watershed.await_greeting("Hello from v1!\n");
    assert_eq!(watershed.admin("/livez").text(), "ok\n");

    let all = getrlimit(Resource::Nproc).current.map(|limit| limit.to_string());
    limit_threads(&watershed, all.as_deref().unwrap_or("unlimited"));
    within(Duration::from_secs(30), "the edit is served", || {
        watershed.get(crate::support::GREETER, "/").text() == "Hello from v2!\n"
    });
    watershed.site.replace("services/greeter.toml", service(&watershed.site, "v1 = 100"));
    watershed.await_greeting("Hello from v1!\n");
    assert_eq!(watershed.admin_post("/api/v1/reload").status, 200);
    eventually("it is well", || watershed.admin("/readyz").text() == "ready\n");
}

fn site() -> Site {
    let site = Site::new();
    fs::copy(plugin("greeter"), site.path("greeter.wasm")).unwrap();
    let text = service(&site, "v1 = 100");
    site.service("greeter", &text)
}

/// The component is in the site's own directory, which every user may read.
fn service(site: &Site, shares: &str) -> String {
    let text = greeter("v1") + &greeter("v2") + &split(shares);
    let component = |path: &Path| path.display().to_string();
    text.replace(&component(&plugin("greeter")), &component(&site.path("greeter.wasm")))
}

fn start_as_nobody(site: Site) -> Watershed {
    let mut command = site.command(&["run"]);
    if geteuid().is_root() {
        let program = site.path("watershed");
        fs::copy(env!("CARGO_BIN_EXE_watershed"), &program).unwrap();
        fs::set_permissions(site.path("."), Permissions::from_mode(0o755)).unwrap();
        for path in [site.path("."), site.path("services")] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(program);
        command.args(arguments).uid(NOBODY).gid(NOBODY).current_dir(site.path("."));
    }
    Watershed::spawn(site, command)
}

/// Limits how many threads the process's user may have.
fn limit_threads(watershed: &Watershed, most: &str) {
    let mut command = Command::new("prlimit");
    // Without being root, only the process's own user may change its limits.
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let process = ["--pid".to_owned(), watershed.pid().to_string(), format!("--nproc={most}:")];
    assert!(command.args(process).status().unwrap().success(), "prlimit, of util-linux");
}

/// How many threads of the process have this name.
fn threads(watershed: &Watershed, name: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", watershed.pid())).unwrap();
    let named = |task: std::io::Result<fs::DirEntry>| {
        let name_of = fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        (name_of.trim() == name).then_some(())
    };
    tasks.filter_map(named).count()
}
