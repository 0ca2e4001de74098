//! What is refused before anything is looked up, and what is told to whom.

use std::sync::Mutex;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty};

use super::*;
use crate::runtime::{CallTimes, Caller};
use crate::telemetry::Telemetry;

const ID: HeaderName = HeaderName::from_static("x-request-id");
const LANE: HeaderName = HeaderName::from_static("watershed-version");

fn egress(network: &Network, entries: &[&str]) -> Egress {
    let environment = EnvironmentName::new("prod").unwrap();
    let origins = entries.iter().map(|entry| entry.parse().unwrap()).collect();
    let limits = (&Limits::default(), &GuestLimits::default());
    let meter = Telemetry::default().outbound("prod", "a", "v1");
    Egress::new(network.clone(), environment, origins, limits, meter)
}

fn network() -> Network {
    Network::new(Carried { everywhere: vec![ID], within: vec![LANE] })
}

/// A call during a request that has an identifier and a lane.
fn call(egress: &Egress, method: Method, url: &str) -> Call {
    let mut request = Request::new(());
    for name in [ID, LANE] {
        request.headers_mut().insert(name, HeaderValue::from_static("one"));
    }
    let caller = Arc::new(Caller::of(egress, &request.into_parts().0));
    let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
    let request = Request::builder().method(method).uri(url).body(body).unwrap();
    Call { request, times: CallTimes::default(), caller }
}

/// A version with a service among its entries asks for services first. What turns out to be a stranger learns nothing.
#[tokio::test]
async fn a_lane_is_told_to_no_stranger() {
    let network = network();
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    network.serve_with({
        let seen = seen.clone();
        move |call, _| {
            seen.lock().unwrap().push(call.request.headers().clone());
            Served::Elsewhere(call)
        }
    });
    let egress = egress(&network, &["service:other", "http://a.example"]);
    let asked = egress.send(call(&egress, Method::GET, "http://b.example/")).await;
    assert!(matches!(asked, Err(CallError::Denied(_))));
    assert_eq!(seen.lock().unwrap().as_slice(), [HeaderMap::new()]);
    for (is_within, has_lane) in [(false, false), (true, true)] {
        let mut call = call(&egress, Method::GET, "http://a.example/");
        egress.0.carry(&mut call, is_within);
        let headers = call.request.headers();
        assert!(headers.contains_key(ID));
        assert_eq!(headers.contains_key(LANE), has_lane);
    }
}

#[tokio::test]
async fn a_tunnel_is_refused_to_whomever_it_leads() {
    let egress = egress(&network(), &["http://127.0.0.1:1"]);
    let asked = egress.send(call(&egress, Method::CONNECT, "http://127.0.0.1:1/")).await;
    assert!(matches!(asked, Err(CallError::Tunnel)));
}
