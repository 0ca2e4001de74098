//! The JSON schemas say of keys, defaults, words and bounds what the model says.

use super::*;

#[test]
fn the_schema_knows_every_key_and_every_default() {
    let (watershed, service) = schema();
    let server = &watershed["properties"]["server"]["properties"];
    assert_eq!(server["grace-period"]["default"], "10s");
    assert_eq!(server["listen"]["default"][0], "127.0.0.1:8080");
    assert_eq!(server["listen"]["items"]["type"], "string");
    assert_eq!(server["watch"]["default"], "events");
    let limits = &server["limits"]["properties"];
    assert_eq!(
        (&limits["head"]["default"], &limits["headers"]["default"]),
        (&"64KiB".into(), &128.into())
    );
    let limits = &watershed["properties"]["defaults"]["properties"]["limits"]["properties"];
    assert_eq!(limits["memory"]["default"], "128MiB");
    assert_eq!(limits["memory"]["anyOf"][0]["type"], "integer");
    assert_eq!(watershed["title"], "watershed.toml");
    let version = &service["properties"]["versions"]["items"];
    assert_eq!(version["required"], serde_json::json!(["name"]));
    assert_eq!(version["oneOf"][1]["required"], serde_json::json!(["upstream"]));
    let upstream = &version["properties"]["upstream"]["anyOf"];
    assert_eq!(upstream[0]["items"]["anyOf"][0]["type"], "string");
    let upstream = &upstream[1]["properties"];
    assert_eq!(upstream["resolve"]["default"], "30s");
    assert_eq!(upstream["health"]["properties"]["status"]["default"], "200-399");
    assert_eq!(upstream["eject"]["anyOf"][1]["properties"]["for"]["default"], "10s");
    assert_eq!(upstream["retry"]["properties"]["budget"]["default"], "20%");
    assert_eq!(version["properties"]["limits"]["properties"]["idle-time"].get("default"), None);
    assert_eq!(version.get("description"), None);
    assert_eq!(version["additionalProperties"], false);
    let env = &version["properties"]["env"];
    assert_eq!(env["type"], "object");
    assert_eq!(env["additionalProperties"]["anyOf"][0]["type"], "string");
    let secret = &env["additionalProperties"]["anyOf"][1];
    assert_eq!(secret["additionalProperties"], false);
    assert_eq!(secret["properties"]["from-env"]["type"], "string");
    assert_eq!((&secret["minProperties"], &secret["maxProperties"]), (&1.into(), &1.into()));
    let split = &service["properties"]["traffic"]["properties"]["split"];
    assert_eq!(split["additionalProperties"]["maximum"], 100);
    let traffic = &service["properties"]["traffic"]["properties"];
    let rule = &traffic["rules"]["items"];
    assert_eq!(rule["required"], serde_json::json!(["name"]));
    assert_eq!(rule["oneOf"][1]["required"], serde_json::json!(["split"]));
    assert_eq!(rule["properties"]["otherwise"]["default"], "next");
    assert_eq!(traffic["sticky"]["properties"]["cookie"]["properties"]["ttl"]["default"], "720h");
    assert_eq!(version["properties"]["reach"]["default"], "live");
    for schema in [watershed, service] {
        let text = schema.to_string();
        assert!(!text.contains("null"), "{text}");
    }
}

#[test]
fn the_schemas_words_are_the_models() {
    let (watershed, service) = schema();
    let server = &watershed["properties"]["server"]["properties"];
    let properties = &service["properties"];
    let traffic = &properties["traffic"]["properties"];
    let sticky = &traffic["sticky"]["properties"];
    let same_site = &sticky["cookie"]["properties"]["same-site"];
    let reach = &properties["versions"]["items"]["properties"]["reach"];
    let otherwise = &traffic["rules"]["items"]["properties"]["otherwise"];
    let words = |schema: &serde_json::Value| schema["enum"].clone();
    let minimum = TlsVersion::ALL.map(TlsVersion::as_str);
    assert_eq!(words(&server["tls"]["properties"]["minimum"]), serde_json::json!(minimum));
    let protocols = ProxyProtocol::ALL.map(ProxyProtocol::as_str);
    assert_eq!(words(&server["proxy-protocol"]), serde_json::json!(protocols));
    let upstream = &properties["versions"]["items"]["properties"]["upstream"]["anyOf"][1];
    let (protocol, balance) =
        (&upstream["properties"]["protocol"], &upstream["properties"]["balance"]);
    assert_eq!(words(protocol), serde_json::json!(Protocol::ALL));
    assert_eq!(words(balance), serde_json::json!(Balance::ALL.map(Balance::as_str)));
    let when = WhenUnhealthy::ALL.map(WhenUnhealthy::as_str);
    assert_eq!(words(&traffic["when-unhealthy"]), serde_json::json!(when));
    assert_eq!(words(reach), serde_json::json!(Reach::ALL.map(Reach::as_str)));
    assert_eq!(words(&traffic["pick"]), serde_json::json!(Pick::ALL.map(Pick::as_str)));
    assert_eq!(words(otherwise), serde_json::json!(Otherwise::ALL.map(Otherwise::as_str)));
    assert_eq!(words(same_site), serde_json::json!(SameSite::ALL.map(SameSite::as_str)));
    let modes = [StickyMode::HASH, StickyMode::PIN];
    assert_eq!(words(&sticky["mode"]), serde_json::json!(modes));
}

#[test]
fn the_schemas_bounds_are_the_models() {
    let (watershed, service) = schema();
    let bounds = |schema: &serde_json::Value| {
        schema["minimum"].as_i64().unwrap()..=schema["maximum"].as_i64().unwrap()
    };
    let server = &watershed["properties"]["server"]["properties"];
    assert_eq!(bounds(&server["threads"]), ServerSettings::THREADS);
    let headers = &server["limits"]["properties"]["headers"];
    assert_eq!(bounds(headers), ConnectionLimits::HEADERS);
    let limits = &server["limits"]["properties"];
    assert_eq!(bounds(&limits["connections"]), ConnectionLimits::CONNECTIONS);
    assert_eq!(bounds(&limits["streams"]), ConnectionLimits::STREAMS);
    assert_eq!(bounds(&limits["resets"]), ConnectionLimits::RESETS);
    let most = TlsSettings::CERTIFICATES_MAX;
    assert_eq!(server["tls"]["properties"]["certificates"]["maxItems"], most);
    let version = &service["properties"]["versions"]["items"]["properties"];
    let limits = &version["limits"]["properties"];
    assert_eq!(bounds(&limits["concurrency"]), Limits::CONCURRENCY);
    assert_eq!(bounds(&limits["instance-reuse"]), GuestLimits::INSTANCE_REUSE);
    assert_eq!(bounds(&limits["outbound-requests"]), GuestLimits::OUTBOUND_REQUESTS);
    assert_eq!(bounds(&limits["outbound-concurrency"]), GuestLimits::OUTBOUND_CONCURRENCY);
    let rate = &service["properties"]["traffic"]["properties"]["rate-limit"]["properties"];
    assert_eq!(bounds(&rate["burst"]), RateLimit::BURST);
    let upstream = &version["upstream"]["anyOf"][1]["properties"];
    let targets = &upstream["targets"];
    let most = *UpstreamSpec::TARGETS.end();
    assert_eq!((&targets["minItems"], &targets["maxItems"]), (&1.into(), &most.into()));
    let target = &targets["items"]["anyOf"][1]["properties"];
    assert_eq!(bounds(&target["weight"]), TargetSpec::WEIGHT);
    let health = &upstream["health"]["properties"];
    assert_eq!(bounds(&health["healthy"]), HealthSpec::IN_A_ROW);
    assert_eq!(bounds(&health["unhealthy"]), HealthSpec::IN_A_ROW);
    let eject = &upstream["eject"]["anyOf"][1]["properties"];
    assert_eq!(bounds(&eject["failures"]), EjectSpec::FAILURES);
    assert_eq!(bounds(&upstream["retry"]["properties"]["attempts"]), RetrySpec::ATTEMPTS);
}
