//! Writes what the listener allows its clients, and HTTPS.

use super::*;

impl Writer<'_> {
    pub fn https(&self, text: &mut String, tls: &TlsSettings) {
        let TlsSettings { listen, minimum, redirect, hsts, ticket_keys, certificates } = tls;
        let default = TlsSettings::default();
        *text += "[server.tls]\n";
        self.key(text, "listen", array(listen), *listen == default.listen);
        self.key(text, "minimum", quoted(minimum.as_str()), *minimum == default.minimum);
        self.key(text, "redirect", redirect, *redirect == default.redirect);
        if let Some(hsts) = hsts {
            self.key(text, "hsts", quoted(show_duration(*hsts)), false);
        }
        if let Some(file) = ticket_keys {
            self.key(text, "ticket-keys", self.path(&file.path, ".."), false);
        }
        for CertificateFiles { certificate, key } in certificates {
            *text += "[[server.tls.certificates]]\n";
            self.key(text, "certificate", self.path(&certificate.path, ".."), false);
            self.key(text, "key", self.path(&key.path, ".."), false);
        }
    }
}

/// The keys of `[server.limits]`.
pub fn connections(limits: &ConnectionLimits, is_terse: bool) -> Vec<(String, String)> {
    let ConnectionLimits {
        head,
        headers,
        head_time,
        idle_time,
        connections,
        client_rate,
        streams,
        resets,
    } = limits;
    let default = ConnectionLimits::default();
    let duration = |value: &Duration| quoted(show_duration(*value));
    let rate = quoted(limits.client_rate_written());
    let mut keys = vec![
        ("head", quoted(head), *head == default.head),
        ("headers", headers.to_string(), *headers == default.headers),
        ("head-time", duration(head_time), *head_time == default.head_time),
        ("idle-time", duration(idle_time), *idle_time == default.idle_time),
        ("connections", connections.to_string(), *connections == default.connections),
        ("client-rate", rate, *client_rate == default.client_rate),
        ("streams", streams.to_string(), *streams == default.streams),
        ("resets", resets.to_string(), *resets == default.resets),
    ];
    keys.retain(|(_, _, is_default)| !(is_terse && *is_default));
    keys.into_iter().map(|(key, value, _)| (key.to_owned(), value)).collect()
}
