//! Describes what decides before the shares do, key by key. Defaults are left out, so that a newer
//! process, which knows more keys, does not differ from an older one.

use std::path::Path;

use super::description::place;
use crate::api::{Settings, Value};
use crate::config::{
    CookieSettings, Destination, Match, Overrides, Percent, Pick, PolicySpec, Reach, Rule, Service,
    Split, Sticky, StickyKey, StickyMode, VersionSpec, show_duration,
};

/// The settings of a service in a configuration whose main file is in `root`.
pub fn settings(root: &Path, service: &Service) -> Settings {
    let versions = &service.versions;
    let PolicySpec { pick, propagate, overrides, rules, sticky, reach } = &service.policy;
    let mut said = Said::default();
    if *pick != Pick::default() {
        said.text("pick", pick.as_str());
    }
    if *propagate {
        said.text("propagate", "true");
    }
    if let Some(overrides) = overrides {
        said.overrides(root, overrides);
    }
    if let Some(sticky) = sticky {
        said.sticky(sticky);
    }
    for (index, rule) in rules.iter().enumerate() {
        said.text(&format!("rules.{}", rule.name), &shown(index + 1, rule, versions));
    }
    let limited = versions.iter().zip(reach).filter(|(_, reach)| **reach != Reach::default());
    for (version, reach) in limited {
        said.text(&format!("versions.{}.reach", version.name), reach.as_str());
    }
    said.0
}

#[derive(Default)]
struct Said(Settings);

impl Said {
    fn put(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    fn text(&mut self, key: &str, text: &str) {
        self.put(key, Value::text(text));
    }

    fn overrides(&mut self, root: &Path, overrides: &Overrides) {
        let Overrides { header, query, cookie, preview_domains, secret } = overrides;
        for (key, is_on) in [("header", header), ("preview-domains", preview_domains)] {
            if *is_on {
                self.text(&format!("override.{key}"), "true");
            }
        }
        for (key, name) in [("query", query), ("cookie", cookie)] {
            name.iter().for_each(|name| self.text(&format!("override.{key}"), name));
        }
        if let Some(source) = secret {
            self.put("override.secret", place(root, source));
        }
    }

    fn sticky(&mut self, sticky: &Sticky) {
        let Sticky { key, mode } = sticky;
        self.text("sticky.key", &key.to_string());
        self.text("sticky.mode", mode.as_str());
        if let StickyMode::Pin { ttl } = mode {
            self.text("sticky.ttl", &show_duration(*ttl));
        }
        if let StickyKey::Generated(cookie) = key {
            self.cookie(cookie);
        }
    }

    fn cookie(&mut self, cookie: &CookieSettings) {
        let CookieSettings { name, ttl, secure, http_only, same_site } = cookie;
        self.text("sticky.cookie.name", name);
        self.text("sticky.cookie.ttl", &show_duration(*ttl));
        self.text("sticky.cookie.secure", &secure.to_string());
        self.text("sticky.cookie.http-only", &http_only.to_string());
        self.text("sticky.cookie.same-site", same_site.as_str());
    }
}

/// A rule in words, with its place: the first that matches decides.
fn shown(number: usize, rule: &Rule, versions: &[VersionSpec]) -> String {
    let Rule { name: _, matches, to, otherwise } = rule;
    let matches = conditions(matches);
    let matches = if matches.is_empty() { "every request".to_owned() } else { matches.join(", ") };
    let to = match to {
        Destination::Version(version) => name(versions, *version).to_owned(),
        Destination::Split(split) => shares(split, versions),
    };
    format!("#{number} {matches}: {to}, otherwise {}", otherwise.as_str())
}

fn conditions(matches: &Match) -> Vec<String> {
    let Match { path, method, header, query, cookie, client } = matches;
    let path = path.iter().map(|glob| format!("path {glob}"));
    let method = method.iter().map(|method| format!("method {method}"));
    let client = client.iter().map(|network| format!("client {network}"));
    let many = [("query", query), ("header", header), ("cookie", cookie)];
    let many = many.into_iter().flat_map(|(kind, conditions)| {
        conditions.iter().map(move |(name, glob)| format!("{kind} {name}={glob}"))
    });
    path.chain(method).chain(many).chain(client).collect()
}

fn shares(split: &Split, versions: &[VersionSpec]) -> String {
    let some = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
    let each = some.map(|(version, share)| format!("{} {share} %", name(versions, *version)));
    each.collect::<Vec<_>>().join(" and ")
}

fn name(versions: &[VersionSpec], index: usize) -> &str {
    versions.get(index).map_or("?", |version| version.name.as_str())
}
