//! Tables of what is allowed and what is not, and what holds for any list.

use proptest::prelude::*;

use super::*;

fn list(entries: &[&str]) -> AllowList {
    let origins = entries.iter().map(|text| text.parse().unwrap()).collect();
    AllowList::new(EnvironmentName::new("prod").unwrap(), origins)
}

fn to(url: &str) -> Result<Destination, UrlError> {
    Destination::of(&url.parse().unwrap())
}

/// Whether a call is allowed that is connected to one of these addresses.
fn reaches(list: &AllowList, url: &str, address: &str) -> bool {
    let to = to(url).unwrap();
    let address = address.parse().unwrap();
    list.grade(&to).is_some_and(|grade| list.allows(&to, grade, address))
}

#[test]
fn one_origin_is_known_however_a_url_writes_it() {
    let one =
        list(&["https://api.example.com", "http://127.0.0.1:9001", "http://xn--bcher-kva.de"]);
    for url in [
        "https://api.example.com",
        "HTTPS://API.example.com./",
        "https://api.example.com:443/v1?q=1",
        "https://api.example.com:0443",
        "http://127.0.0.1:9001/",
        "http://2130706433:9001/",
        "http://0x7f000001:9001/",
        "http://0177.0.0.1:9001/",
        "http://127.1:9001/",
        "http://[::ffff:127.0.0.1]:9001/",
        "http://[::ffff:7f00:1]:9001/",
        "http://XN--BCHER-KVA.de/",
    ] {
        assert!(one.grade(&to(url).unwrap()).is_some(), "{url}");
    }
    for url in [
        "http://api.example.com",
        "https://api.example.com:8443",
        "https://api.example.com.evil.example",
        "https://xapi.example.com",
        "https://example.com",
        "https://v1.api.example.com",
        "http://127.0.0.1",
        "https://127.0.0.1:9001",
        "http://127.0.0.2:9001",
        "http://localhost:9001",
        "http://[::1]:9001",
    ] {
        assert_eq!(one.grade(&to(url).unwrap()), None, "{url}");
    }
}

#[test]
fn a_url_that_hides_where_it_goes_is_none() {
    for url in ["https://api.example.com@evil.example/", "https://u:p@api.example.com/"] {
        assert_eq!(to(url), Err(UrlError::UserInfo), "{url}");
    }
    for url in ["/path", "api.example.com:443", "ftp://api.example.com/"] {
        assert_eq!(to(url), Err(UrlError::Relative), "{url}");
    }
    for url in
        ["http://a..example/", "http://256.0.0.1/", "http://a.example:0/", "http://1.2.3.4.5/"]
    {
        assert!(matches!(to(url), Err(UrlError::Authority(_))), "{url}");
    }
}

#[test]
fn a_name_leads_only_where_it_may() {
    let name = list(&["http://api.example.com", "http://localhost:9001"]);
    let url = "http://api.example.com/";
    for address in ["93.184.216.34", "10.0.0.7", "192.168.1.1", "fd12::7", "64:ff9b::8.8.8.8"] {
        assert!(reaches(&name, url, address), "{address}");
    }
    for address in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:7f00:1::",
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ] {
        assert!(!reaches(&name, url, address), "{address}");
    }
    assert!(reaches(&name, "http://localhost:9001", "127.0.0.1"));
    assert!(reaches(&name, "http://localhost:9001", "::1"));
    assert!(!reaches(&name, "http://localhost:9001", "169.254.169.254"));
    assert!(!reaches(&name, "http://localhost:9002", "127.0.0.1"));
}

#[test]
fn a_wildcard_is_one_label_and_leads_to_private_addresses_only_where_they_are_listed() {
    let some = list(&["http://*.svc.local:8080"]);
    assert!(reaches(&some, "http://a.svc.local:8080", "93.184.216.34"));
    for address in ["10.1.2.3", "fd12::7", "127.0.0.1", "169.254.169.254"] {
        assert!(!reaches(&some, "http://a.svc.local:8080", address), "{address}");
    }
    for url in ["http://svc.local:8080", "http://a.b.svc.local:8080", "http://asvc.local:8080"] {
        assert_eq!(some.grade(&to(url).unwrap()), None, "{url}");
    }
    let more = list(&["http://*.svc.local:8080", "10.1.0.0/16", "http://127.0.0.1:8080"]);
    assert!(reaches(&more, "http://a.svc.local:8080", "10.1.2.3"));
    assert!(reaches(&more, "http://a.svc.local:8080", "::ffff:10.1.2.3"));
    assert!(!reaches(&more, "http://a.svc.local:8080", "10.2.0.1"));
    assert!(reaches(&more, "http://a.svc.local:8080", "127.0.0.1"));
    // Where both match, the name that is listed by itself counts.
    let both = list(&["http://*.svc.local", "http://a.svc.local"]);
    assert!(reaches(&both, "http://a.svc.local", "10.2.0.1"));
    assert!(!reaches(&both, "http://b.svc.local", "10.2.0.1"));
}

#[test]
fn a_network_allows_addresses_that_are_written_and_no_names() {
    let network = list(&["10.1.0.0/16", "0.0.0.0/0", "127.0.0.1/32"]);
    assert!(reaches(&network, "http://10.1.2.3:9000", "10.1.2.3"));
    assert!(reaches(&network, "https://93.184.216.34", "93.184.216.34"));
    assert!(reaches(&network, "http://127.0.0.1:80", "127.0.0.1"));
    for url in ["http://169.254.169.254", "http://127.0.0.2", "http://0.0.0.0", "http://[::1]"] {
        assert_eq!(network.grade(&to(url).unwrap()), None, "{url}");
    }
    assert_eq!(network.grade(&to("http://db.internal").unwrap()), None);
}

/// Whoever lists all networks lists the public and the private ones.
#[test]
fn no_spelling_of_a_reserved_address_is_in_a_network() {
    let all = list(&["0.0.0.0/0", "::/0"]);
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "00.0x0.0",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fe80::5efe:169.254.169.254]",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0xA9.254.0251.0xfe",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[FD20:CE:0::254]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "255.255.255.255",
        "224.0.0.251",
        "[ff02::fb]",
    ] {
        for url in [format!("http://{host}/"), format!("https://{host}:8443/a?b")] {
            let to = to(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(all.grade(&to), None, "{url}");
        }
    }
    // These name no host at all, for us; nobody else gets to read them.
    for host in
        ["%31%32%37.0.0.1", "[fe80::1%25eth0]", "127.0.0.0x1g", "1.2.3.4.5", "0x100000000", "[::1"]
    {
        let url = format!("http://{host}/").parse::<Uri>();
        let to = url.ok().and_then(|uri| Destination::of(&uri).ok());
        assert!(to.as_ref().is_none_or(|to| all.grade(to).is_none()), "{host}: {to:?}");
    }
}

#[test]
fn a_service_is_of_its_environment() {
    let some = list(&["service:greeter", "service:test/shop"]);
    let has = |environment: &str, name: &str| {
        let environment = EnvironmentName::new(environment).unwrap();
        some.has_service(&environment, &ServiceName::new(name).unwrap())
    };
    assert!(has("prod", "greeter"));
    assert!(!has("test", "greeter"));
    assert!(has("test", "shop"));
    assert!(!has("prod", "shop"));
    assert!(some.has_services() && !list(&["https://a.example"]).has_services());
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = any::<[u8; 4]>().prop_map(IpAddr::from);
    let near = (prop::sample::select(vec![127_u8, 169, 10, 224, 0, 100]), any::<[u8; 3]>())
        .prop_map(|(first, [b, c, d])| {
            IpAddr::from([first, if first == 169 { 254 } else { b }, c, d])
        });
    let mapped =
        any::<[u8; 4]>().prop_map(|it| IpAddr::V6(std::net::Ipv4Addr::from(it).to_ipv6_mapped()));
    let v6 = any::<[u16; 8]>().prop_map(IpAddr::from);
    prop_oneof![v4, near, mapped, v6]
}

fn entry() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("http://a.example".to_owned()),
        Just("http://*.example".to_owned()),
        Just("10.0.0.0/8".to_owned()),
        Just("0.0.0.0/0".to_owned()),
        Just("service:greeter".to_owned()),
        Just("https://127.0.0.1".to_owned()),
    ]
}

proptest! {
    /// Whoever controls a name gets nowhere near this machine, its link, or its credentials.
    #[test]
    fn no_name_leads_to_a_reserved_address(
        entries in prop::collection::vec(entry(), 0..6), address in address(),
    ) {
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let list = list(&entries);
        if AddressKind::of(address) == AddressKind::Reserved {
            prop_assert!(!reaches(&list, "http://a.example", &address.to_string()));
            prop_assert!(!reaches(&list, "http://b.example", &address.to_string()));
        }
    }

    /// An IPv4 address is the same over IPv6.
    #[test]
    fn a_mapped_address_counts_as_ipv4(
        entries in prop::collection::vec(entry(), 0..6), octets: [u8; 4],
    ) {
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let list = list(&entries);
        let address = std::net::Ipv4Addr::from(octets);
        let mapped = address.to_ipv6_mapped();
        for (url, other) in [
            ("http://a.example".to_owned(), "http://a.example".to_owned()),
            (format!("http://{address}"), format!("http://[{mapped}]")),
        ] {
            prop_assert_eq!(
                reaches(&list, &url, &address.to_string()),
                reaches(&list, &other, &mapped.to_string())
            );
        }
    }

    /// What is not listed is not reached, whatever it leads to; and no URL makes the reader panic.
    #[test]
    fn nothing_is_reached_without_an_entry(url in "https?://[a-zA-Z0-9.:%@\\[\\]-]{1,20}/?", address in address()) {
        let empty = list(&[]);
        if let Some(to) = url.parse::<Uri>().ok().and_then(|uri| Destination::of(&uri).ok()) {
            prop_assert_eq!(empty.grade(&to), None);
            prop_assert!(!empty.allows(&to, Grade::Address, address));
            // The entry that is proposed allows the call.
            let entry = to.entry().to_string();
            prop_assert!(list(&[&entry]).grade(&to).is_some(), "{}", entry);
        }
    }
}
