//! The lab: one behaviour a path, most of them bad, so that a host can be tested by what it survives and a user can see
//! each failure with `curl`.
//!
//! The first segment of the path chooses a [`Behaviour`] and the query sets its numbers; `/` lists them all. The
//! behaviours are in six rooms: [`bodies`] stream, [`framing`] is odd, [`faults`] fail, [`hoards`] take memory and time,
//! [`fetch`] calls others, [`probes`] report.

mod bodies;
mod call;
mod faults;
mod fetch;
mod framing;
mod hoards;
mod probes;

use call::{Call, Outcome};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Lab;

wasip2::http::proxy::export!(Lab);

impl Guest for Lab {
    /// An error means that the client or the host went away, so there is nobody left to answer.
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let mut call = Call::new(request, out);
        drop(match BEHAVIOURS.iter().find(|behaviour| behaviour.name == name) {
            None if name.is_empty() => call.answer(200, &index()),
            None => call.answer(404, &format!("no such behaviour; these are:\n{}", index())),
            Some(behaviour) => match call.read_numbers(behaviour.numbers, query) {
                Ok(()) => (behaviour.run)(call),
                Err(problem) => call.answer(400, &problem),
            },
        });
    }
}

struct Behaviour {
    name: &'static str,
    /// The numbers that the query may set, with their defaults.
    numbers: &'static [(&'static str, u64)],
    about: &'static str,
    run: fn(Call) -> Outcome,
}

const fn on(
    name: &'static str,
    numbers: &'static [(&'static str, u64)],
    run: fn(Call) -> Outcome,
    about: &'static str,
) -> Behaviour {
    Behaviour { name, numbers, about, run }
}

const ALL: u64 = u64::MAX;

#[rustfmt::skip]
const BEHAVIOURS: &[Behaviour] = &[
    on("echo",       &[],                           bodies::echo,       "sends the request body back as it arrives, and its trailers"),
    on("big",        &[("mib", 64)],                bodies::big,        "streams this many MiB in chunks of 64 KiB"),
    on("slow-body",  &[("chunks", 3), ("ms", 100)], bodies::slow_body,  "sends chunks, one every so many milliseconds"),
    on("early",      &[],                           bodies::early,      "answers before it reads the request body"),
    on("read",       &[("bytes", ALL)],             bodies::read,       "reads at most this much of the request body"),
    on("trailers",   &[],                           bodies::trailers,   "sends a chunk, then trailers"),
    on("status",     &[("code", 204)],              bodies::status,     "answers with this status"),
    on("hop",        &[],                           bodies::hop,        "sets headers that a proxy must not pass on"),
    on("length",     &[("is", 8), ("parts", 2), ("size", 8), ("ms", 0), ("trailers", 0)], framing::length, "promises a length and sends these parts"),
    on("lengths",    &[],                           framing::lengths,   "lists which content-lengths the host accepts"),
    on("last-chunk", &[("length", 0), ("trailers", 0)], framing::last_chunk, "sends a body that looks like the end of one"),
    on("bodied",     &[("code", 204)],              framing::bodied,    "sends a body with this status"),
    on("te",         &[],                           framing::te,        "sets the header te"),
    on("forbidden",  &[],                           framing::forbidden, "sets the headers that only a connection may set"),
    on("odd-trailers", &[],                         framing::odd_trailers, "ends with trailers that are none"),
    on("trap",       &[],                           faults::trap,       "executes `unreachable` before the head"),
    on("panic",      &[],                           faults::panic,      "panics before the head"),
    on("late-trap",  &[("ms", 50)],                 faults::late_trap,  "sends a head and a chunk, then traps"),
    on("late-drop",  &[("ms", 50)],                 faults::late_drop,  "promises 100 bytes and finishes after 8"),
    on("no-finish",  &[("ms", 50)],                 faults::no_finish,  "sends a chunk and drops the body unfinished"),
    on("never",      &[],                           faults::never,      "returns without a response"),
    on("error",      &[],                           faults::error,      "sets an error code for a response"),
    on("exit",       &[],                           faults::exit,       "calls exit(1)"),
    on("late-exit",  &[("ms", 50)],                 faults::late_exit,  "finishes its answer, and calls exit(1)"),
    on("loop",       &[],                           hoards::spin,       "computes forever before the head"),
    on("loop-late",  &[],                           hoards::spin_late,  "sends a head and a chunk, then computes forever"),
    on("work",       &[("turns", 1), ("k", 1000), ("ms", 0)], hoards::work, "computes this many thousand rounds, in turns"),
    on("hang",       &[],                           hoards::hang,       "waits for a day before the head"),
    on("hang-late",  &[],                           hoards::hang_late,  "sends a head and a chunk, then waits for a day"),
    on("after",      &[("ms", 100)],                hoards::after,      "answers, then waits and writes a line to stdout"),
    on("sleep",      &[("ms", 100)],                hoards::sleep,      "waits, then answers"),
    on("hog",        &[("mib", 1024)],              hoards::hog,        "allocates and touches this many MiB, and dies if it cannot"),
    on("try-hog",    &[("mib", 1024)],              hoards::try_hog,    "the same, but says how many it got"),
    on("env",        &[],                           probes::env,        "lists its environment"),
    on("fs",         &[],                           probes::fs,         "tries to use a file system"),
    on("net",        &[("port", 1)],                probes::net,        "tries to reach 127.0.0.1 at this port"),
    on("fetch",      &[("times", 1), ("first", 0), ("between", 0)], fetch::fetch, "asks the service at url=…, the last of the query"),
    on("headers",    &[],                           probes::headers,    "lists what it got of the request's head"),
    on("stdout",     &[("lines", 1), ("len", 16)],  probes::stdout,     "writes lines to stdout and one to stderr"),
    on("print",      &[("parts", 3), ("end", 1)],   probes::print,      "writes a line to stdout in parts, each through a stream of its own"),
    on("count",      &[],                           probes::count,      "counts the requests this sandbox has served"),
];

/// One line a behaviour: `/big?mib=64  streams…`.
fn index() -> String {
    BEHAVIOURS
        .iter()
        .map(|behaviour| format!("{:<28} {}\n", usage(behaviour), behaviour.about))
        .collect()
}

fn usage(behaviour: &Behaviour) -> String {
    let mut usage = format!("/{}", behaviour.name);
    for (place, (name, default)) in behaviour.numbers.iter().enumerate() {
        usage.push(if place == 0 { '?' } else { '&' });
        usage.push_str(name);
        match *default {
            ALL => usage.push_str("=N"),
            number => usage.push_str(&format!("={number}")),
        }
    }
    usage
}
