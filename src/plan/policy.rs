//! Describes what decides before the shares do, key by key. Defaults are left out, so that a newer
//! process, which knows more keys, does not differ from an older one.

use std::path::Path;

use super::description::place;
use crate::api::{Settings, Value};
use crate::config::{
    CookieSettings, Destination, Match, Otherwise, Overrides, Percent, Pick, PolicySpec, RateLimit,
    Reach, Rescue, Rule, Service, Sticky, StickyKey, StickyMode, VersionSpec, WhenUnhealthy,
    show_duration,
};

/// The settings of a service in a configuration whose main file is in `root`.
pub fn settings(root: &Path, service: &Service) -> Settings {
    let versions = &service.versions;
    let PolicySpec {
        pick,
        propagate,
        overrides,
        rules,
        sticky,
        reach,
        rescue,
        when_unhealthy,
        rate_limit,
    } = &service.policy;
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
    if let Some(rescue) = rescue {
        said.rescue(rescue, versions);
    }
    if *when_unhealthy != WhenUnhealthy::default() {
        said.text("when-unhealthy", when_unhealthy.as_str());
    }
    if let Some(RateLimit { key, rate, burst }) = rate_limit {
        said.text("rate-limit.key", &key.to_string());
        said.text("rate-limit.rate", &rate.to_string());
        said.text("rate-limit.burst", &burst.to_string());
    }
    for (index, rule) in rules.iter().enumerate() {
        said.rule(index + 1, rule, versions);
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

    /// A rule, key by key, with its place: the first that matches decides.
    fn rule(&mut self, number: usize, rule: &Rule, versions: &[VersionSpec]) {
        let Rule { name: rule, matches, to, otherwise } = rule;
        let key = |key: &str| format!("rules.{rule}.{key}");
        self.text(&key("place"), &number.to_string());
        let Match { path, method, header, query, cookie, client } = matches;
        path.iter().for_each(|glob| self.text(&key("match.path"), &glob.to_string()));
        method.iter().for_each(|method| self.text(&key("match.method"), method));
        for (kind, conditions) in [("header", header), ("query", query), ("cookie", cookie)] {
            for (name, glob) in conditions {
                self.text(&key(&format!("match.{kind}.{name}")), &glob.to_string());
            }
        }
        client.iter().for_each(|network| self.text(&key("match.client"), &network.to_string()));
        match to {
            Destination::Version(version) => self.text(&key("version"), name(versions, *version)),
            Destination::Split(split) => {
                let some = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
                for (version, share) in some {
                    let version = name(versions, *version);
                    self.text(&key(&format!("split.{version}")), &share.to_string());
                }
            }
        }
        if *otherwise != Otherwise::default() {
            self.text(&key("otherwise"), otherwise.as_str());
        }
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

    fn rescue(&mut self, rescue: &Rescue, versions: &[VersionSpec]) {
        let Rescue { version, buffer, methods, statuses } = rescue;
        self.text("rescue", name(versions, *version));
        self.text("rescue-buffer", &buffer.to_string());
        let statuses: Vec<_> = statuses.iter().map(u16::to_string).collect();
        for (key, list) in [("rescue-methods", methods), ("rescue-statuses", &statuses)] {
            if !list.is_empty() {
                self.text(key, &list.join(", "));
            }
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

fn name(versions: &[VersionSpec], index: usize) -> &str {
    versions.get(index).map_or("?", |version| version.name.as_str())
}
