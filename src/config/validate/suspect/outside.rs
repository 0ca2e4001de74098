//! Texts for what is outside of the file: paths that are written as for a shell, for Windows or for a registry, and
//! variables of a shell.

use super::super::upstream::target;
use crate::config::source::Complaint;

/// Registries of images whose names need no tag to be known.
const REGISTRIES: [&str; 6] =
    ["ghcr.io", "docker.io", "quay.io", "gcr.io", "registry.k8s.io", "mcr.microsoft.com"];

/// What to do about a component that is somewhere else.
const FETCH: &str = "a component is a file: fetch it (from a registry with `wkg oci pull` or `oras pull`), and write its \
                     path, relative to this file";

/// What to do about a component that is a service on the network.
const SERVICE: &str = "an HTTP service on the network is an `upstream`, not a component: ";

/// What is strange about a path, if anything is.
pub fn path(key: &str, text: &str) -> Option<Complaint> {
    let (why, help) = if text == "~" || text.starts_with("~/") {
        let help = "write the path from `/` on, or relative to this file".to_owned();
        ("`~` is not replaced by a home directory", help)
    } else if text.starts_with('$') || text.contains("${") || text.contains("/$") {
        ("variables are not replaced in a path", "write the path itself".to_owned())
    } else if text.trim() != text {
        ("it begins or ends with a space", format!("write {:?}", text.trim()))
    } else if text.contains('\\') {
        let help = format!("write `{}`", text.replace('\\', "/"));
        ("`\\` separates no directories here", help)
    } else {
        return None;
    };
    Some(Complaint::new(format!("{text:?} can hardly be meant for `{key}`: {why}"), help))
}

/// What is strange about the value of an environment variable: that of another one is meant, as in a shell.
pub fn variable(text: &str) -> Option<Complaint> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let is_in_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.chars().all(is_in_name);
    let message = || format!("{text:?} stands for itself: variables are not replaced here");
    let help = || {
        format!("for a variable of watershed's own environment, write `{{ from-env = {name:?} }}`")
    };
    is_name.then(|| Complaint::new(message(), help()))
}

/// What a text is that names no file, if it looks like an address of the network or a name in a registry.
pub fn elsewhere(component: &str) -> Option<String> {
    address(component).or_else(|| image(component)).map(|complaint| complaint.message)
}

/// The complaint about a component that is an address of the network.
pub fn address(text: &str) -> Option<Complaint> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    if !is_scheme {
        return None;
    }
    let is_service =
        ["http", "https"].contains(&scheme) && !rest.trim_end_matches('/').contains('/');
    let help = match scheme {
        "file" => format!("write `{rest}`"),
        _ if is_service => format!("{SERVICE}{}", written(text)),
        _ => FETCH.to_owned(),
    };
    Some(Complaint::new(format!("{text:?} is an address, and not the path of a component"), help))
}

/// What is strange about a component that looks like the address of a service.
pub fn service(text: &str) -> Option<Complaint> {
    let is_address = !text.contains('/') && target(text).is_ok();
    let message = || format!("{text:?} looks like an address, and is taken for a path");
    is_address.then(|| Complaint::new(message(), format!("{SERVICE}write `upstream = [{text:?}]`")))
}

/// What to write for the URL of a service.
fn written(url: &str) -> String {
    target(url).err().map(|complaint| complaint.help).unwrap_or_default()
}

/// What is strange about a component that looks like the name of an image in a registry.
pub fn image(text: &str) -> Option<Complaint> {
    let (first, rest) = text.split_once('/').unwrap_or(("", text));
    let last = rest.rsplit('/').next().unwrap_or_default();
    let is_tagged = last.contains([':', '@']) && !last.ends_with(".wasm");
    let is_named = last.contains("@sha256:") || last.ends_with(":latest");
    let is_host = first.contains(['.', ':']) && !first.starts_with('.');
    let is_image = REGISTRIES.contains(&first) || (is_host && is_tagged) || is_named;
    let message = || format!("{text:?} looks like an image in a registry, and is taken for a path");
    is_image.then(|| Complaint::new(message(), FETCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_of_registries_and_of_shells_are_known() {
        for text in ["$TOKEN", "${DB_URL}", "$_X1"] {
            assert!(variable(text).is_some(), "{text}");
        }
        for text in ["$5", "$", "a$B", "$a", "${A}/x", "US$", "{A}", "$A-B"] {
            assert!(variable(text).is_none(), "{text}");
        }
        for text in [
            "ghcr.io/x/y",
            "ghcr.io/x/y:1",
            "localhost:5000/x:latest",
            "x/y:latest",
            "y@sha256:aa",
            "r.example.com:5000/x/y@sha256:aa",
        ] {
            assert!(image(text).is_some(), "{text}");
        }
        for text in ["app.wasm", "build.d/app.wasm", "../a.b/c:d.wasm", "./x/y:1", "a/b"] {
            assert!(image(text).is_none(), "{text}");
        }
        for text in ["~/a.wasm", "$HOME/a.wasm", "${A}/a.wasm", " a.wasm", r"build\a.wasm"] {
            assert!(path("component", text).is_some(), "{text}");
        }
        for text in ["a.wasm", "/srv/a b.wasm", "a~/b", "../x"] {
            assert!(path("component", text).is_none(), "{text}");
        }
        for text in
            ["https://a.org/x.wasm", "oci://ghcr.io/x", "s3://b/a.wasm", "file:///srv/a.wasm"]
        {
            assert!(address(text).is_some(), "{text}");
        }
        for text in ["localhost:3000", "api:80", "10.0.0.1:80", "[::1]:80"] {
            assert!(service(text).is_some(), "{text}");
        }
        for text in ["app.wasm", "build/a:1", "a", "C:x.wasm"] {
            assert!(service(text).is_none(), "{text}");
        }
        let help = address("https://api.internal").unwrap().help;
        assert!(help.contains("write `api.internal:443`"), "{help}");
        assert!(address("a://b").is_some() && address("a b://c").is_none());
    }
}
