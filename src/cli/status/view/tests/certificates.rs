//! What HTTPS is served with.

use super::*;

fn certificate(name: &str, days: i64, more: Value) -> Value {
    let mut certificate = json!({
        "certificate": format!("/etc/certs/{name}.pem"), "key": format!("/etc/certs/{name}.key"),
        "names": [name], "issuer": "R11 (Let's Encrypt)", "days_left": days, "default": false,
    });
    extend(&mut certificate, &more);
    certificate
}

fn problem(file: &str, message: &str, help: &str) -> Value {
    json!({ "file": file, "line": null, "column": null, "width": null, "source": null,
            "message": message, "help": help })
}

#[test]
fn a_few_are_shown_one_by_one_and_many_by_the_first_to_end() {
    let few = [certificate("a.example", 74, json!({})), certificate("b.example", 1, json!({}))];
    let text = read(json!({ "certificates": few }), 100);
    assert!(
        text.contains("https     a.example, signed by R11 (Let's Encrypt), 74 days left\n"),
        "{text}"
    );
    assert!(
        text.contains("https     b.example, signed by R11 (Let's Encrypt), 1 day left\n"),
        "{text}"
    );
    let many: Vec<_> =
        (0..9).map(|it| certificate(&format!("{it}.example"), 80 - it, json!({}))).collect();
    let text = read(json!({ "certificates": many }), 120);
    let line = "https     9 certificates; the first to end: 8.example, signed by R11 (Let's Encrypt), 72 days left";
    assert!(text.contains(line) && text.matches("https  ").count() == 1, "{text}");
    let names: Vec<_> = (0..7).map(|it| format!("{it}.example")).collect();
    let text =
        read(json!({ "certificates": [certificate("a", 7, json!({ "names": names }))] }), 120);
    assert!(
        text.contains("0.example, 1.example, 2.example, 3.example and 3 more, signed by"),
        "{text}"
    );
}

#[test]
fn one_that_is_for_nobody_says_so() {
    let text = read(json!({ "certificates": [certificate("a", 7, json!({ "names": [] }))] }), 100);
    assert!(text.contains("https     no name, signed by"), "{text}");
}

#[test]
fn what_is_wrong_says_what_clients_get_meanwhile() {
    let wrong =
        problem("/etc/certs/a.key", "the key is encrypted", "store it without a passphrase");
    let kept = certificate("a.example", 74, json!({ "problem": wrong }));
    let none = json!({ "problem": wrong, "names": [], "issuer": null, "days_left": null });
    let text = read(json!({ "certificates": [kept, certificate("b", 0, none)] }), 200);
    let told = "certificate: /etc/certs/a.key: the key is encrypted, and";
    assert!(
        text.contains(&format!("{told} clients of a.example get the certificate from before")),
        "{text}"
    );
    assert!(text.contains(&format!("{told} clients get none of it")), "{text}");
    assert!(text.contains("help: store it without a passphrase"), "{text}");
    assert!(text.contains("https     no certificate from /etc/certs/b.pem"), "{text}");
    let ends =
        problem("/etc/certs/a.pem", "the certificate of a.example expires in 9 days", "renew it");
    let text = read(
        json!({ "certificates": [certificate("a.example", 9, json!({ "warnings": [ends] }))] }),
        200,
    );
    assert!(
        text.contains("warning: /etc/certs/a.pem: the certificate of a.example expires in 9 days"),
        "{text}"
    );
    let text = read(json!({ "certificates": [certificate("a.example", -3, json!({}))] }), 200);
    assert!(text.contains("a.example, signed by R11 (Let's Encrypt), expired\n"), "{text}");
}
