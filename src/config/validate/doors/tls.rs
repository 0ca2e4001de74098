//! `[server.tls]`: where HTTPS is listened for, and the files of its certificates. What is in the files is not looked at
//! here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::super::super::model::{CertificateFiles, NamedFile, Place, TlsSettings, TlsVersion};
use super::super::super::raw::{Field, Located, RawCertificate, RawServerTls};
use super::super::super::source::{Complaint, Findings};
use super::super::{field, quantity};
use super::{Written, listen, overlap};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Checks the table. The addresses join those `written` before.
pub fn tls(
    main: &mut Findings<'_>,
    raw: Located<RawServerTls>,
    written: &mut Vec<Written>,
) -> TlsSettings {
    let (table, raw) = raw.into_parts();
    let RawServerTls { listen, minimum, redirect, hsts, ticket_keys, certificates } = raw;
    let default = TlsSettings::default();
    let listen = match listen {
        Some(raw) => self::listen(main, raw, written),
        None => {
            is_apart(main, written, &default.listen);
            written.extend(default.listen.iter().map(|address| (table.clone(), *address)));
            Vec::new()
        }
    };
    TlsSettings {
        listen: if listen.is_empty() { default.listen } else { listen },
        minimum: main.text(minimum, self::minimum).unwrap_or(default.minimum),
        redirect: redirect.map_or(default.redirect, |raw| *raw.value()),
        hsts: main.text(hsts, self::hsts),
        ticket_keys: file(main, "ticket-keys", ticket_keys.map(Located::into_parts)),
        certificates: self::certificates(main, &table, certificates),
    }
}

/// Whether no address that is written is one of ours by default.
fn is_apart(main: &mut Findings<'_>, written: &[Written], ours: &[SocketAddr]) {
    for address in ours {
        let taken = written.iter().find(|(_, other)| overlap(*other, *address));
        if let Some((span, other)) = taken {
            let message = format!("{other} is taken by HTTPS, which is at {address}");
            let help = "give each a port of its own, here or by `listen` of `[server.tls]`";
            main.add(span.clone(), Complaint::new(message, help));
        }
    }
}

fn minimum(text: &str) -> Result<TlsVersion, Complaint> {
    let number = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let word = field::word("minimum", &TlsVersion::ALL, TlsVersion::as_str)(text);
    match number {
        _ if word.is_ok() => word,
        "1.0" | "1.1" | "1" | "3" | "3.0" => {
            let message = format!("{text:?} is too old to be secure, and is not spoken (RFC 8996)");
            Err(Complaint::new(message, "write `1.2` or `1.3`"))
        }
        "1.2" | "1.3" => wrong_minimum(text, number),
        _ => match digits.as_str() {
            "12" => wrong_minimum(text, "1.2"),
            "13" => wrong_minimum(text, "1.3"),
            _ => word,
        },
    }
}

/// A version as other programs write it, such as `TLSv1.2` or `VersionTLS12`.
fn wrong_minimum(text: &str, number: &str) -> Result<TlsVersion, Complaint> {
    let message = format!("`minimum` cannot be {text:?}");
    Err(Complaint::new(message, format!("write `\"{number}\"`")))
}

/// A duration that may be written in days, as it mostly is.
fn hsts(text: &str) -> Result<Duration, Complaint> {
    let number = text.strip_suffix('d').and_then(|days| days.trim().parse::<u64>().ok());
    let Some(days) = number else {
        let hsts = quantity::duration("hsts", text, &TlsSettings::HSTS)
            .map_err(|complaint| in_days(text, complaint))?;
        // What is sent is in seconds, and 0 takes back what browsers were told.
        return match hsts.subsec_nanos() {
            0 => Ok(hsts),
            _ => {
                let message = format!("`hsts` is {text}, and is told in whole seconds");
                Err(Complaint::new(message, "write a duration such as `365d`, or `0s` to end it"))
            }
        };
    };
    let most = TlsSettings::HSTS.end().as_secs() / DAY;
    quantity::within("hsts", days, &(0..=most), |days| format!("{days}d"))?;
    Ok(Duration::from_secs(days * DAY))
}

/// What to write for a time of years or weeks, or for the header of another program.
fn in_days(text: &str, complaint: Complaint) -> Complaint {
    let lower = text.trim().to_ascii_lowercase();
    let start = lower.find("max-age=").map_or(0, |at| at + "max-age=".len());
    let rest = lower.get(start..).unwrap_or_default();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, unit) = rest.split_at(end);
    let unit = unit.split([';', ' ']).next().unwrap_or_default().trim_end_matches('s');
    let days = match (number.parse::<u64>(), unit) {
        (Ok(years), "y" | "yr" | "year") => years.checked_mul(365),
        (Ok(weeks), "w" | "week") => weeks.checked_mul(7),
        (Ok(months), "mo" | "month") => months.checked_mul(30),
        (Ok(days), "day") => Some(days),
        (Ok(seconds), "") if start > 0 => Some(seconds / DAY),
        (Ok(_), _) => return complaint,
        (Err(_), _) => None,
    };
    let most = TlsSettings::HSTS.end().as_secs() / DAY;
    let help = match days.filter(|days| (1..=most).contains(days)) {
        Some(days) => format!("write `{days}d`"),
        None => "write days, such as `365d`, or remove it to tell browsers nothing".to_owned(),
    };
    Complaint { help, ..complaint }
}

fn certificates(
    main: &mut Findings<'_>,
    table: &Range<usize>,
    raw: Field<Vec<Located<RawCertificate>>>,
) -> Vec<CertificateFiles> {
    let missing = "add `[[server.tls.certificates]]` with `certificate = \"…\"` and `key = \"…\"`";
    let Some((span, items)) = raw.map(Located::into_parts) else {
        let complaint =
            Complaint::new("HTTPS needs a certificate, and there is none here", missing);
        main.add_missing(table.clone(), "certificates", complaint);
        return Vec::new();
    };
    if items.is_empty() && !main.has_lost_any(&span) {
        main.add(span.clone(), Complaint::new("`certificates` has no certificate", missing));
    }
    if items.len() > TlsSettings::CERTIFICATES_MAX {
        let most = TlsSettings::CERTIFICATES_MAX;
        let message = format!("`certificates` has {} certificates, more than {most}", items.len());
        main.add(
            span,
            Complaint::new(message, "use certificates with several names or with wildcards"),
        );
        return Vec::new();
    }
    let (mut seen, mut files) = (HashMap::new(), Vec::new());
    for item in items {
        let (table, raw) = item.into_parts();
        let Some(pair) = certificate(main, &table, raw) else { continue };
        let line = main.source.line_of(table.start);
        if let Some(first) = seen.insert(pair.certificate.clone(), line) {
            let message =
                format!("this certificate is declared twice, the first time on line {first}");
            main.add(table, Complaint::new(message, "remove one of them"));
            continue;
        }
        files.push(pair);
    }
    files
}

fn certificate(
    main: &mut Findings<'_>,
    table: &Range<usize>,
    raw: RawCertificate,
) -> Option<CertificateFiles> {
    let RawCertificate { certificate, key } = raw;
    let certificate = main.required(table, "certificate", certificate);
    let key = main.required(table, "key", key);
    let certificate = file(main, "certificate", certificate);
    let key = file(main, "key", key);
    Some(CertificateFiles { certificate: certificate?, key: key? })
}

/// The file that a key names.
fn file(
    main: &mut Findings<'_>,
    key: &str,
    field: Option<(Range<usize>, String)>,
) -> Option<NamedFile> {
    let (span, text) = field?;
    let place = Place::of(main.source.spot(span.clone()));
    Some(NamedFile { path: main.path_at(key, span, &text)?, place })
}
