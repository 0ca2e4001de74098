//! Several services on one domain, each with paths of its own.

use crate::support::{Site, Watershed, eventually, greeter, split};

const SHOP: &str = "shop.example.com";

fn service(version: &str, routes: &[&str]) -> String {
    let route = |path: &&str| format!("\n[[routes]]\ndomain = \"{SHOP}\"\npath = \"{path}\"\n");
    let routes: String = routes.iter().map(route).collect();
    routes + &greeter(version) + &split(&format!("{version} = 100"))
}

#[track_caller]
fn assert_serves(watershed: &Watershed, path: &str, version: &str) {
    let text = watershed.get(SHOP, path).text();
    assert_eq!(text, format!("Hello from {version}!\n"), "{path}");
}

#[test]
fn the_longest_path_of_a_shared_domain_wins() {
    let watershed = Site::new()
        .service("shop", &format!("domains = [\"{SHOP}\"]\n{}", service("shop", &[])))
        .service("api", &service("api", &["/api/"]))
        .service("next", &service("next", &["/api/v2", "/next"]))
        .start();
    for (path, version) in [
        ("/", "shop"),
        ("/apis", "shop"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/v1?x=/v2", "api"),
        ("/api/v2", "next"),
        ("/api/v2/x", "next"),
        ("/api/v22", "api"),
        ("/%61pi/v2/x", "next"),
        ("/next", "next"),
    ] {
        assert_serves(&watershed, path, version);
    }
    let domains = watershed.service("next")["routes"].to_string();
    assert_eq!(domains, r#"["shop.example.com/api/v2","shop.example.com/next"]"#);
}

#[test]
fn one_path_of_a_domain_has_one_service() {
    let site =
        Site::new().service("a", &service("a", &["/api"])).service("b", &service("b", &["/api/"]));
    let check = site.run(&["check", "--no-compile"]);
    assert_eq!(check.code, Some(1));
    assert!(check.said().contains("`shop.example.com/api` is already a route"), "{}", check.said());
}

#[test]
fn whoever_has_a_path_keeps_it() {
    let watershed = Site::new().service("b", &service("b", &["/api"])).start();
    assert_serves(&watershed, "/api", "b");
    assert_eq!(watershed.get(SHOP, "/").status, 404);
    watershed.site.write("services/a.toml", service("a", &["/api"]));
    eventually("the rejection", || watershed.status()["rejected"].is_array());
    assert_serves(&watershed, "/api", "b");
}
