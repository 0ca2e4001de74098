//! `[server.limits]`: what a client may use of the listener.

use super::super::super::model::{ByteSize, ConnectionLimits};
use super::super::super::raw::RawConnectionLimits;
use super::super::super::source::{Complaint, Findings};
use super::super::quantity;

/// Checks the table; what is not there is the default.
pub fn limits(main: &mut Findings<'_>, raw: RawConnectionLimits) -> ConnectionLimits {
    let RawConnectionLimits {
        head,
        headers,
        head_time,
        idle_time,
        connections,
        client_rate,
        streams,
        resets,
    } = raw;
    let default = ConnectionLimits::default();
    let head = main.size("head", head, &ConnectionLimits::HEAD);
    let headers = main.count("headers", headers, &ConnectionLimits::HEADERS);
    let head_time = main.duration("head-time", head_time, &ConnectionLimits::HEAD_TIME);
    let idle_time = main.duration("idle-time", idle_time, &ConnectionLimits::IDLE_TIME);
    let connections = main.count("connections", connections, &ConnectionLimits::CONNECTIONS);
    let client_rate = main.text(client_rate, self::client_rate);
    let streams = main.count("streams", streams, &ConnectionLimits::STREAMS);
    let resets = main.count("resets", resets, &ConnectionLimits::RESETS);
    ConnectionLimits {
        head: head.unwrap_or(default.head),
        headers: headers.unwrap_or(default.headers),
        head_time: head_time.unwrap_or(default.head_time),
        idle_time: idle_time.unwrap_or(default.idle_time),
        connections: connections.unwrap_or(default.connections),
        client_rate: client_rate.unwrap_or(default.client_rate),
        streams: streams.unwrap_or(default.streams),
        resets: resets.unwrap_or(default.resets),
    }
}

/// Bytes a second, such as `1KiB/s`; 0 for any rate.
fn client_rate(text: &str) -> Result<ByteSize, Complaint> {
    if text == ConnectionLimits::ANY_RATE {
        return Ok(ByteSize::new(0));
    }
    let help = "write bytes a second, such as `1KiB/s`, or `none` for any rate";
    let (size, unit) = text.rsplit_once('/').unwrap_or((text, ""));
    let size = size.parse::<ByteSize>().ok().filter(|_| unit.trim() == "s");
    let Some(size) = size else {
        let message = format!("`client-rate` cannot be {text:?}");
        return Err(Complaint::new(message, meant_rate(text).unwrap_or_else(|| help.to_owned())));
    };
    let show = |size: &ByteSize| format!("{size}/s");
    let bounded = quantity::within("client-rate", size, &ConnectionLimits::CLIENT_RATE, show);
    bounded.map_err(|complaint| {
        let help = format!("{}, or `none` for any rate", complaint.help);
        Complaint { help, ..complaint }
    })
}

/// What to write for a rate in other words.
fn meant_rate(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    if ["0", "off", "never", "any", "unlimited", "no"].contains(&lower.as_str()) {
        return Some("write `none` for any rate".to_owned());
    }
    let bare = ["bps", "b/s", "ps", "/sec", "/second", "/s"];
    let bare = bare.iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    // Bits are counted by some, and only bytes here.
    if lower.ends_with("bps") || lower.ends_with("bit") {
        return None;
    }
    let end = bare.find(|c: char| !c.is_ascii_digit()).unwrap_or(bare.len());
    let (number, unit) = bare.split_at(end);
    let unit = match unit.trim() {
        "" | "b" => "B",
        "k" | "kb" | "ki" | "kib" => "KiB",
        "m" | "mb" | "mi" | "mib" => "MiB",
        _ => return None,
    };
    let size: ByteSize = format!("{number}{unit}").parse().ok()?;
    let fits = ConnectionLimits::CLIENT_RATE.contains(&size);
    fits.then(|| format!("write `{size}/s`"))
}
