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
        let whole = text.trim_end_matches("ps").trim_end_matches("/sec");
        let meant = whole.parse::<ByteSize>().map(|size| format!("write `{size}/s`"));
        return Err(Complaint::new(message, meant.unwrap_or_else(|_| help.to_owned())));
    };
    let show = |size: &ByteSize| format!("{size}/s");
    quantity::within("client-rate", size, &ConnectionLimits::CLIENT_RATE, show)
}
