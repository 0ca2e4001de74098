//! ReloadHandle on request, and what scripts can see of generations.

use nix::sys::signal::Signal;

use crate::support::{GREETER, Site, Watershed, eventually, greeter, lab, split};

const FILE: &str = "services/greeter.toml";

fn one(version: &str) -> String {
    greeter(version) + &split(&format!("{version} = 100"))
}

fn serve() -> Watershed {
    Site::new().server("expose = \"decision\"").service("greeter", &one("v1")).start()
}

fn generation_of(watershed: &Watershed, host: &str) -> u64 {
    let response = watershed.get(host, "/");
    response.header("watershed-generation").unwrap_or_default().parse().unwrap_or(0)
}

#[test]
fn a_request_reloads_and_says_what_came_of_it() {
    let watershed = serve();
    let reload = || {
        let response = watershed.admin_post("/api/v1/reload");
        (response.status, response.json())
    };
    let (status, document) = reload();
    assert_eq!((status, &document["outcome"]), (200, &"unchanged".into()));
    assert_eq!(document["files_read"], 1);

    watershed.site.write(FILE, "nonsense");
    let (status, document) = reload();
    assert_eq!(status, 422, "{document:#}");
    assert_eq!(document["problems"][0]["line"], 1);
    let (status, _) = reload();
    assert_eq!(status, 422, "it is still wrong");

    watershed.site.write(FILE, one("v2"));
    let (status, document) = reload();
    assert_eq!(status, 200, "{document:#}");
    let generation = document["generation"].as_u64().unwrap();
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    assert_eq!(generation_of(&watershed, GREETER), generation);
    assert_eq!(watershed.admin("/api/v1/reload").status, 405);
}

#[test]
fn sighup_reloads_at_once() {
    let watershed = serve();
    let reads = || watershed.metric("watershed_reloads_total", &[]);
    let before = reads();
    watershed.signal(Signal::SIGHUP);
    eventually("a reload", || reads() > before + 0.5);
    watershed.log_line(&["SIGHUP"]);
    watershed.site.write(FILE, one("v2"));
    watershed.signal(Signal::SIGHUP);
    eventually("v2", || watershed.get(GREETER, "/").text() == "Hello from v2!\n");
}

#[test]
fn a_script_can_wait_for_its_edit() {
    let watershed = serve();
    let next = watershed.generation() + 1;
    let ready = || watershed.admin(&format!("/readyz?generation={next}"));
    assert_eq!(ready().status, 503);
    assert!(ready().text().contains(&next.to_string()));
    watershed.site.write(FILE, one("v2"));
    eventually("the generation", || ready().status == 200);
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
    assert_eq!(watershed.admin("/readyz?generation=soon").status, 400);
}

#[test]
fn a_response_names_its_generation_only_if_decisions_are_exposed() {
    let watershed = serve();
    assert_eq!(generation_of(&watershed, GREETER), watershed.generation());
    assert_eq!(generation_of(&watershed, "nobody.localhost"), watershed.generation());
    let main = watershed.site.read("watershed.toml").replace("\"decision\"", "\"version\"");
    watershed.site.write("watershed.toml", main);
    eventually("no generation", || generation_of(&watershed, GREETER) == 0);
}

#[test]
fn a_generation_is_freed_with_its_last_request() {
    let watershed = Site::new().service("lab", &lab("v1")).service("greeter", &one("v1")).start();
    let generations = || watershed.metric("watershed_config_generations", &[]);
    watershed.await_metric("watershed_config_generations", &[], 1.0);
    let mut client = watershed.http1();
    client.send("GET /slow-body?chunks=20&ms=200 HTTP/1.1\r\nhost: lab.localhost\r\n\r\n");
    let mut response = client.head();
    for version in ["v2", "v3", "v4", "v5"] {
        watershed.site.write(FILE, one(version));
        let greeting = format!("Hello from {version}!\n");
        eventually(&greeting, || watershed.get(GREETER, "/").text() == greeting);
    }
    assert!((1.5..=2.5).contains(&generations()), "the one in use and the current one");
    while !response.complete {
        assert!(client.chunk(&mut response), "{response:?}");
    }
    watershed.await_metric("watershed_config_generations", &[], 1.0);
}

#[test]
fn the_age_of_the_last_good_load_grows_while_something_is_wrong() {
    let watershed = serve();
    let age = || watershed.metric("watershed_config_good_age_seconds", &[]);
    watershed.site.write(FILE, "nonsense");
    watershed.await_metric("watershed_config_rejected_files", &[], 1.0);
    eventually("an age", || age() > 1.0);
    watershed.site.write(FILE, one("v2"));
    eventually("a good load", || age() < 1.0);
}
