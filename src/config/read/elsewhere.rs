//! What keys of other programs are called here: those of proxies (nginx, HAProxy, Caddy, Traefik, Envoy), of Kubernetes
//! and its service meshes, and words that are just as good as ours. `words` asks about keys that do not exist.

mod called;
mod listener;
mod rate_limit;
mod upstream;

use called::CALLED;

/// Words that mean one thing, with spaces between them, in lower case and without `-` and `_`; and what it is here.
type Words = (&'static str, &'static str);

/// The tables of the main file.
const MAIN: [&str; 6] = ["server", "admin", "state", "components", "defaults", "environments"];

/// What a key of another program is called here that stands in a table of which we know what else may stand there.
pub fn called_here(allowed: &[&str], key: &str) -> Option<&'static str> {
    let plain = plain(key);
    upstream::called(allowed, &plain)
        .or_else(|| rate_limit::called(allowed, &plain))
        .or_else(|| listener::called(allowed, &plain))
}

/// What a key of another program is called here, wherever it stands; `table` leads to the table that has the key.
pub fn called(table: &[String], allowed: &[&str], key: &str) -> Option<&'static str> {
    let plain = plain(key);
    let is_main = table.first().is_some_and(|first| MAIN.contains(&first.as_str()))
        || allowed.contains(&"environments");
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
        "targets" if allowed.contains(&"component") => Some(
            "the addresses of an HTTP service are `upstream = [\"127.0.0.1:9001\"]`, or `targets` in `[versions.upstream]`",
        ),
        "file" | "path" if allowed.contains(&"component") => {
            Some("the file of a WebAssembly component is `component`")
        }
        "environment" if !is_main => {
            Some("environment variables are `env = { NAME = \"value\" }` in `[[versions]]`")
        }
        "path" | "dir" | "folder" | "location" | "root" | "store" if allowed == ["directory"] => {
            Some("the path of a directory is `directory = \"…\"`")
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
        plain => find(CALLED, plain),
    }
}

/// A key as it is compared.
fn plain(key: &str) -> String {
    key.chars().filter(|c| !"-_".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

fn find(words: &[Words], plain: &str) -> Option<&'static str> {
    let found = words.iter().find(|(words, _)| words.split(' ').any(|word| word == plain));
    found.map(|(_, called)| *called)
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

    /// All dictionaries.
    fn all() -> impl Iterator<Item = &'static [Words]> {
        let upstream = upstream::ALL.into_iter().chain(rate_limit::ALL);
        [CALLED].into_iter().chain(upstream).chain(listener::ALL)
    }

    #[test]
    fn a_word_is_there_once_and_as_it_is_compared() {
        for dictionary in all() {
            let mut words: Vec<_> =
                dictionary.iter().flat_map(|(words, _)| words.split(' ')).collect();
            assert!(words.iter().all(|word| !word.is_empty() && plain(word) == **word));
            words.sort_unstable();
            let twice: Vec<_> = words.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.is_empty(), "{twice:?}");
        }
    }

    #[test]
    fn the_files_of_a_pair_are_called_by_their_keys() {
        let called = |key| called_here(&["certificate", "key"], key);
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
        const OTHERS: [&str; 6] = [
            "ssh -L",
            "openssl pkey -in KEY -out KEY",
            "rate-limit",
            "ratelimit",
            "unchecked",
            "/m",
        ];
        let files: [_; 2] = schema::schema().into();
        for (_, advice) in all().flatten() {
            for quoted in advice.split('`').skip(1).step_by(2) {
                if OTHERS.contains(&quoted) || quoted.starts_with('/') {
                    continue;
                }
                let name = quoted.trim_start_matches('[');
                let end = name.find([' ', ']']).unwrap_or(name.len());
                let key = name[..end].rsplit('.').next().unwrap();
                let is_word = ["reset", "connect"].contains(&key);
                let exists = files.iter().any(|file| !schema::tables_with(file, key).is_empty());
                assert!(exists || is_word, "`{key}` in {advice:?}");
            }
        }
    }
}
