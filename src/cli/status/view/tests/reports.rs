//! Reports in a status.

use super::*;

/// The sentences of a report are as wide as the terminal; lines of a file end there, and a path is whole.
#[test]
fn a_long_report_fits_the_terminal() {
    let (wrong, help) = ("very wrong ".repeat(12), "mend it ".repeat(12));
    let line = format!("3 | key = \"{}\"", "x".repeat(90));
    let path = format!("services/{}.toml", "y".repeat(60));
    let report = format!("error: {wrong}\n --> {path}:3:1\n  |\n{line}\n  |\n  = help: {help}");
    let mut services = serving(json!([service("lab", json!([]), json!({}))]));
    extend(
        &mut services,
        &json!({ "rejected": [{ "environment": "default", "serves": "lab", "problems": [],
            "file": "/lab.toml", "report": report }] }),
    );
    let text = page(&document(services), PROCESS, 60).text(false);
    let long: Vec<_> = text.lines().filter(|line| line.chars().count() > 60).collect();
    assert_eq!(long, [format!("     --> {path}:3:1")], "{text}");
    assert!(text.contains("\n              it mend it"), "{text}");
    assert!(text.contains("\n    3 | key = \"xxx") && text.contains("x…\n"), "{text}");
}
