//! Writes `[traffic]` and what is below it.

use super::*;

impl Writer<'_> {
    pub fn traffic(
        &self,
        text: &mut String,
        versions: &[VersionSpec],
        traffic: &Traffic,
        policy: &PolicySpec,
    ) {
        let PolicySpec {
            pick,
            propagate,
            overrides,
            rules,
            sticky,
            reach: _,
            rescue,
            when_unhealthy,
            rate_limit,
        } = policy;
        *text += "[traffic]\n";
        self.key(text, "pick", quoted(pick.as_str()), *pick == Pick::Random);
        self.key(text, "propagate", propagate, !propagate);
        if let Some(rescue) = rescue {
            self.rescue(text, versions, rescue);
        }
        let when = quoted(when_unhealthy.as_str());
        self.key(text, "when-unhealthy", when, *when_unhealthy == WhenUnhealthy::Fail);
        match traffic {
            Traffic::Latest => self.key(text, "latest", true, true),
            Traffic::Split(split) => {
                self.table(text, "traffic", "split", shares(versions, split).into_iter());
            }
        }
        if let Some(overrides) = overrides {
            *text += "[traffic.override]\n";
            self.overrides(text, overrides);
        }
        for rule in rules {
            *text += "[[traffic.rules]]\n";
            self.rule(text, versions, rule);
        }
        if let Some(RateLimit { key, rate, burst }) = rate_limit {
            *text += "[traffic.rate-limit]\n";
            self.key(text, "key", quoted(key), false);
            self.key(text, "rate", quoted(rate), false);
            self.key(text, "burst", burst, *burst == rate.requests);
        }
        if let Some(sticky) = sticky {
            *text += "[traffic.sticky]\n";
            self.sticky(text, sticky);
        }
    }

    fn rescue(&self, text: &mut String, versions: &[VersionSpec], rescue: &Rescue) {
        let Rescue { version, buffer, methods, statuses } = rescue;
        self.key(text, "rescue", quoted(&versions[*version].name), false);
        self.key(text, "rescue-buffer", quoted(buffer), *buffer == Rescue::BUFFER_DEFAULT);
        self.key(text, "rescue-methods", array(methods), methods.is_empty());
        let statuses: Vec<_> = statuses.iter().rev().collect();
        self.key(text, "rescue-statuses", array(&statuses), statuses.is_empty());
    }

    fn overrides(&self, text: &mut String, overrides: &Overrides) {
        let Overrides { header, query, cookie, preview_domains, secret } = overrides;
        self.key(text, "header", header, !header);
        self.key(text, "preview-domains", preview_domains, !preview_domains);
        for (key, name) in [("query", query), ("cookie", cookie)] {
            name.iter().for_each(|name| self.key(text, key, quoted(name), false));
        }
        if let Some(source) = secret {
            let secret = [self.secret(source)].into_iter();
            self.table(text, "traffic.override", "secret", secret);
        }
    }

    fn rule(&self, text: &mut String, versions: &[VersionSpec], rule: &Rule) {
        let Rule { name, matches, to, otherwise } = rule;
        self.key(text, "name", quoted(name), false);
        let otherwise_text = quoted(otherwise.as_str());
        self.key(text, "otherwise", otherwise_text, *otherwise == Otherwise::Next);
        match to {
            Destination::Version(index) => {
                self.key(text, "version", quoted(&versions[*index].name), false);
            }
            Destination::Split(split) => {
                let shares = shares(versions, split).into_iter();
                self.table(text, "traffic.rules", "split", shares);
            }
        }
        let matches = conditions(matches);
        if !(matches.is_empty() && self.style.is_terse) {
            self.table(text, "traffic.rules", "match", matches.into_iter());
        }
    }

    fn sticky(&self, text: &mut String, sticky: &Sticky) {
        let Sticky { key, mode } = sticky;
        self.key(text, "key", quoted(key), false);
        self.key(text, "mode", quoted(mode.as_str()), *mode == StickyMode::Hash);
        if let StickyMode::Pin { ttl } = mode {
            let is_default = *ttl == Sticky::DEFAULT_TTL;
            self.key(text, "ttl", quoted(show_duration(*ttl)), is_default);
        }
        if let StickyKey::Generated(cookie) = key {
            let CookieSettings { name, ttl, secure, http_only, same_site } = cookie;
            let entries = [
                ("name", quoted(name)),
                ("ttl", quoted(show_duration(*ttl))),
                ("secure", secure.to_string()),
                ("http-only", http_only.to_string()),
                ("same-site", quoted(same_site.as_str())),
            ];
            let entries = entries.map(|(key, value)| (key.to_owned(), value)).into_iter();
            self.table(text, "traffic.sticky", "cookie", entries);
        }
    }
}

fn shares(versions: &[VersionSpec], split: &Split) -> Vec<(String, String)> {
    let share =
        |(index, share): &(usize, Percent)| (quoted(&versions[*index].name), share.to_string());
    split.shares().iter().map(share).collect()
}

fn conditions(matches: &Match) -> Vec<(String, String)> {
    let Match { path, method, header, query, cookie, client } = matches;
    let one = [
        ("path", path.as_ref().map(quoted)),
        ("method", method.as_ref().map(quoted)),
        ("client", client.as_ref().map(quoted)),
    ];
    let one = one.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let many = [("header", header), ("query", query), ("cookie", cookie)];
    let many = many.into_iter().filter(|(_, patterns)| !patterns.is_empty());
    let many = many.map(|(key, patterns)| {
        let each =
            patterns.iter().map(|(name, glob)| format!("{} = {}", quoted(name), quoted(glob)));
        (key.to_owned(), format!("{{ {} }}", each.collect::<Vec<_>>().join(", ")))
    });
    one.chain(many).collect()
}
