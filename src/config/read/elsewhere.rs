//! What keys of other programs are called here: those of proxies (nginx, HAProxy, Caddy, Traefik, Envoy), of Kubernetes
//! and its service meshes, and words that are just as good as ours. `words` asks about keys that do not exist.

mod called;
mod rate_limit;
mod upstream;

use called::CALLED;

/// The tables of the main file.
const MAIN: [&str; 6] = ["server", "admin", "state", "components", "defaults", "environments"];

/// What a key of another program is called here; `table` leads to the table that has the key.
pub fn called(table: &[String], allowed: &[&str], key: &str) -> Option<&'static str> {
    let plain: String =
        key.chars().filter(|c| !"-_".contains(*c)).map(|c| c.to_ascii_lowercase()).collect();
    let is_main = table.first().is_some_and(|first| MAIN.contains(&first.as_str()))
        || allowed.contains(&"environments");
    if allowed == ["certificate", "key"] {
        return pair(&plain);
    }
    if let Some(called) = upstream::called(allowed, &plain) {
        return Some(called);
    }
    if let Some(called) = rate_limit::called(allowed, &plain) {
        return Some(called);
    }
    match plain.as_str() {
        "env" | "variable" | "fromenvironment" | "environment" if allowed.contains(&"from-env") => {
            Some("a variable of watershed's own environment is `from-env = \"…\"`")
        }
        "value" if table.last().is_some_and(|last| last == "secret") => {
            Some("the secret is in a file, `file = \"…\"`, or in a variable, `from-env = \"…\"`")
        }
        "value" if allowed.contains(&"from-env") => {
            Some("a value that is no secret is a text in quotation marks, without braces")
        }
        "secret" | "path" if allowed.contains(&"from-env") => {
            Some("a file with the secret is `file = \"…\"`")
        }
        "version" | "id" | "tag" if allowed.contains(&"component") => {
            Some("what a version is called is its `name`")
        }
        "file" | "path" if allowed.contains(&"component") => {
            Some("the file of a WebAssembly component is `component`")
        }
        "environment" if !is_main => {
            Some("environment variables are `env = { NAME = \"value\" }` in `[[versions]]`")
        }
        "path" | "dir" | "folder" | "location" | "root" if allowed == ["directory"] => {
            Some("the path of a directory is `directory = \"…\"`")
        }
        "port" | "bind" | "address" | "addr" if allowed.contains(&"token-file") => {
            Some("the address of the admin listener is `listen = \"127.0.0.1:9090\"`")
        }
        "service" | "services" if allowed.contains(&"environments") => {
            Some("each service has a file of its own, which `services` in `[[environments]]` finds")
        }
        "ip" | "clientip" | "sourceip" | "remoteip" | "remoteaddr" | "source" | "address"
            if allowed.contains(&"method") =>
        {
            Some("the address of a client is `client`, such as `client = \"10.0.0.0/8\"`")
        }
        "useragent" | "referer" | "accept" | "acceptlanguage" | "authorization" | "contenttype"
            if allowed.contains(&"method") =>
        {
            Some(
                "headers are compared under `header`, such as `header = { user-agent = \"*bot*\" }`",
            )
        }
        version if allowed.contains(&"split") && is_version(version) => {
            Some("shares of versions are in `split`: `split = { v1 = 90, v2 = 10 }`")
        }
        "host" | "hosts" | "hostname" if allowed.contains(&"method") => Some(
            "a rule is about requests of its own service, whose hosts are its `domains`; `host` in `header` tells them apart",
        ),
        "prefix" | "pathprefix" | "location" | "uri" | "host" | "hosts" | "if" | "when"
        | "condition" | "conditions" | "matches"
            if allowed.contains(&"otherwise") =>
        {
            Some("what a rule is about is its `match`, such as `match = { path = \"/app/*\" }`")
        }
        "service" | "backend" | "upstream" | "cluster" | "target"
            if allowed.contains(&"otherwise") =>
        {
            Some("a rule leads to `version = \"…\"` or `split = { … }`")
        }
        "host" | "hosts" | "hostname" | "services" | "service" if is_main => None,
        "enabled" | "disabled" | "enable" | "default" | "active"
            if is_main || table.len() > 1 && !allowed.contains(&"otherwise") =>
        {
            None
        }
        "to" | "then" | "destination" | "action" if !allowed.contains(&"otherwise") => None,
        _ => {
            let found = CALLED.iter().find(|(words, _)| words.contains(&plain.as_str()));
            found.map(|(_, called)| *called)
        }
    }
}

/// What a key of a certificate and its key is called.
fn pair(plain: &str) -> Option<&'static str> {
    match plain {
        "cert" | "certs" | "certificates" | "crt" | "pem" | "certfile" | "certpath"
        | "certificatefile" | "certificatepath" | "certificatechain" | "fullchain" | "chain"
        | "sslcertificate" | "tlscert" => Some("did you mean `certificate`?"),
        "keyfile" | "keypath" | "privatekey" | "privatekeyfile" | "certkey" | "certificatekey"
        | "sslcertificatekey" | "sslkey" | "tlskey" => Some("did you mean `key`?"),
        _ => None,
    }
}

/// Whether a key looks like the name of a version, such as `v1`.
fn is_version(key: &str) -> bool {
    let number = key.strip_prefix('v').unwrap_or(key);
    number.starts_with(|c: char| c.is_ascii_digit()) || ["green", "blue"].contains(&key)
}

#[cfg(test)]
mod tests {
    use super::super::super::schema;
    use super::*;

    #[test]
    fn a_word_is_there_once_and_as_it_is_compared() {
        let mut words: Vec<_> = CALLED.iter().flat_map(|(words, _)| *words).collect();
        assert!(
            words.iter().all(|word| !word.contains(['-', '_']) && word.to_lowercase() == **word)
        );
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn the_files_of_a_pair_are_called_by_their_keys() {
        let table = ["server", "tls", "certificates"].map(str::to_owned);
        let called = |key| called(&table, &["certificate", "key"], key);
        for key in ["cert", "ssl_certificate", "crt"] {
            assert_eq!(called(key), Some("did you mean `certificate`?"), "{key}");
        }
        for key in ["private-key", "key-file", "ssl_certificate_key"] {
            assert_eq!(called(key), Some("did you mean `key`?"), "{key}");
        }
        assert_eq!(called("https"), None);
    }

    /// An advice that names a key of ours must go when the key goes.
    #[test]
    fn advice_names_keys_that_exist() {
        let files: [_; 2] = schema::schema().into();
        for (_, advice) in CALLED {
            for quoted in advice.split('`').skip(1).step_by(2) {
                let name = quoted.trim_start_matches('[');
                let end = name.find([' ', ']']).unwrap_or(name.len());
                let key = name[..end].rsplit('.').next().unwrap();
                let exists = files.iter().any(|file| !schema::tables_with(file, key).is_empty());
                assert!(exists, "`{key}` in {advice:?}");
            }
        }
    }
}
