//! Limits, which two tables may set: what a version's table leaves out comes from the main file's, and finally from the
//! model's defaults.

use super::super::model::{AllLimits, GuestLimits, IdleTime, Limits};
use super::super::raw::{Field, RawLimits};
use super::super::source::{Complaint, Findings};
use super::quantity::duration;

/// The limits of a version, on top of those that hold without its own table.
pub fn of_version(at: &mut Findings<'_>, raw: Option<RawLimits>, below: &AllLimits) -> AllLimits {
    let mut limits = over(at, raw, below);
    let Limits { wall_time, idle_time, .. } = &mut limits.version;
    // Two ways to say one thing are one value, so that changing from one to the other changes nothing.
    if *idle_time == IdleTime::After(*wall_time) {
        *idle_time = IdleTime::WallTime;
    }
    limits
}

/// The limits of a table, on top of those that hold without it.
pub fn over(at: &mut Findings<'_>, raw: Option<RawLimits>, below: &AllLimits) -> AllLimits {
    let Some(raw) = raw else {
        return below.clone();
    };
    let RawLimits {
        memory,
        cpu_time,
        wall_time,
        idle_time,
        request_body,
        concurrency,
        queue_time,
        instance_reuse,
        outbound_requests,
        outbound_concurrency,
    } = raw;
    let memory = at.size("memory", memory, &GuestLimits::MEMORY);
    let cpu_time = at.duration("cpu-time", cpu_time, &GuestLimits::CPU_TIME);
    let wall_time = at.duration("wall-time", wall_time, &Limits::WALL_TIME);
    let idle_time = self::idle_time(at, idle_time);
    let request_body = at.size("request-body", request_body, &Limits::REQUEST_BODY);
    let concurrency = at.count("concurrency", concurrency, &Limits::CONCURRENCY);
    let queue_time = at.duration("queue-time", queue_time, &Limits::QUEUE_TIME);
    let reuse = at.count("instance-reuse", instance_reuse, &GuestLimits::INSTANCE_REUSE);
    let calls = at.count("outbound-requests", outbound_requests, &GuestLimits::OUTBOUND_REQUESTS);
    let in_flight =
        at.count("outbound-concurrency", outbound_concurrency, &GuestLimits::OUTBOUND_CONCURRENCY);
    let AllLimits { version, guest } = below;
    AllLimits {
        version: Limits {
            wall_time: wall_time.unwrap_or(version.wall_time),
            idle_time: idle_time.unwrap_or(version.idle_time),
            request_body: request_body.unwrap_or(version.request_body),
            concurrency: concurrency.unwrap_or(version.concurrency),
            queue_time: queue_time.unwrap_or(version.queue_time),
        },
        guest: GuestLimits {
            memory: memory.unwrap_or(guest.memory),
            cpu_time: cpu_time.unwrap_or(guest.cpu_time),
            instance_reuse: reuse.unwrap_or(guest.instance_reuse),
            outbound_requests: calls.unwrap_or(guest.outbound_requests),
            outbound_concurrency: in_flight.unwrap_or(guest.outbound_concurrency),
        },
    }
}

fn idle_time(at: &mut Findings<'_>, raw: Field<String>) -> Option<IdleTime> {
    at.text(raw, |text| match text {
        IdleTime::NONE => Ok(IdleTime::Never),
        text => duration("idle-time", text, &IdleTime::RANGE).map(IdleTime::After).map_err(or_none),
    })
}

fn or_none(complaint: Complaint) -> Complaint {
    let help = format!("{}, or `{}` for pauses of any length", complaint.help, IdleTime::NONE);
    Complaint { help, ..complaint }
}
