//! The lab over `wasi:http/handler@0.3`: the behaviours for which a host has to do something else than over 0.2, under
//! the same paths and with the same answers. `/` greets like the greeter, so that the two can be compared.
//!
//! A response is returned before its body is written: whatever streams does so in a task of its own, and a guest whose
//! handler has returned may go on.

mod bodies;
mod faults;
mod fetch;
mod framing;
mod probes;
mod reply;

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Request, Response};

use reply::answer;

struct Lab;

wasip3::http::service::export!(Lab);

/// What a behaviour makes of its request.
type Answer = Result<Response, ErrorCode>;

impl Guest for Lab {
    async fn handle(request: Request) -> Answer {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query(query);
        match path {
            "/" => probes::greet(),
            "/echo" => bodies::echo(request),
            "/relay" => match query.number("is", u64::MAX) {
                u64::MAX => bodies::relay(request),
                length => framing::relay_length(request, length),
            },
            "/read" => bodies::read(request).await,
            "/big" => bodies::big(query.number("mib", 64)),
            "/slow-body" => bodies::slow(query.number("chunks", 3), query.number("ms", 100)),
            "/trailers" => bodies::trailers(),
            "/delivered" => bodies::delivered(),
            "/length" => framing::length(&query),
            "/lengths" => framing::lengths(),
            "/last-chunk" => framing::last_chunk(&query),
            "/bodied" => framing::bodied(query.number("code", 204)),
            "/te" => framing::te(),
            "/forbidden" => framing::forbidden(),
            "/odd-trailers" => framing::odd_trailers(),
            "/trap" => faults::trap(),
            "/late-trap" => faults::late_trap(query.number("ms", 50)),
            "/late-drop" => faults::late_drop(query.number("ms", 50)),
            "/no-finish" => faults::no_finish(query.number("ms", 50)),
            "/leak" => faults::leak(),
            "/error" => Err(ErrorCode::InternalError(Some("the lab was asked to fail".into()))),
            "/exit" => std::process::exit(1),
            "/loop" => faults::spin(),
            "/loop-late" => faults::spin_late(),
            "/work" => {
                faults::work(
                    query.number("turns", 1),
                    query.number("k", 1000),
                    query.number("ms", 0),
                )
                .await
            }
            "/hang" => faults::hang().await,
            "/hang-late" => faults::hang_late(),
            "/sleep" => faults::sleep(query.number("ms", 100)).await,
            "/after" => faults::after(query.number("ms", 100)),
            "/hog" => faults::hog(query.number("mib", 1024)),
            "/env" => probes::env(),
            "/headers" => probes::headers(&request),
            "/fetch" => {
                let url = target.split_once("url=").map(|(_, url)| url.to_owned());
                fetch::fetch(request, url.unwrap_or_default()).await
            }
            "/net" => probes::net(query.number("port", 1)).await,
            "/stdout" => probes::stdout().await,
            "/print" => probes::print(query.number("parts", 3), query.number("end", 1)).await,
            "/count" => probes::count(),
            _ => answer(404, "no such behaviour\n".into()),
        }
    }
}

/// The numbers of a request: `mib=3&ms=5`.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn number(&self, name: &str, default: u64) -> u64 {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(found, _)| *found == name);
        values.find_map(|(_, value)| value.parse().ok()).unwrap_or(default)
    }
}
