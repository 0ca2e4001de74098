//! Lists in the headers of a request: what a client takes, and what it has already.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, HeaderName};

/// Whether a client takes compressed content
/// ([RFC 9110, section 12.5.3](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3)).
pub fn is_gzip_accepted(headers: &HeaderMap) -> bool {
    let weight = |coding: &str| {
        members(headers, &ACCEPT_ENCODING).find_map(|member| {
            let (name, parameters) = member.split_once(';').unwrap_or((member, ""));
            let is_it = name.trim().eq_ignore_ascii_case(coding);
            is_it.then(|| {
                parameters.trim().trim_start_matches(['q', 'Q', '=']).parse().unwrap_or(1.0)
            })
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight: f32| weight > 0.0)
}

/// Whether a list has a member, whatever its parameters. A weak tag counts as the strong one
/// ([RFC 9110, section 13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
pub fn contains(headers: &HeaderMap, list: &HeaderName, wanted: &str) -> bool {
    members(headers, list).any(|member| {
        let member = member.split(';').next().unwrap_or_default().trim();
        member.strip_prefix("W/").unwrap_or(member).eq_ignore_ascii_case(wanted)
    })
}

fn members<'a>(headers: &'a HeaderMap, list: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(list).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::{ACCEPT, IF_NONE_MATCH};

    use super::*;

    fn headers(name: &HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.clone(), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for accepts in ["gzip", "GZIP", "deflate, gzip, br", "gzip;q=0.1", "br, *", "*;q=0.5"] {
            assert!(is_gzip_accepted(&headers(&ACCEPT_ENCODING, accepts)), "{accepts}");
        }
        for refuses in ["", "br", "identity", "gzip;q=0", "gzip; q=0.000, *", "x-gzip", "*;q=0"] {
            assert!(!is_gzip_accepted(&headers(&ACCEPT_ENCODING, refuses)), "{refuses}");
        }
        assert!(!is_gzip_accepted(&HeaderMap::new()));
    }

    #[test]
    fn a_member_is_found_in_a_list() {
        for list in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\""] {
            assert!(contains(&headers(&IF_NONE_MATCH, list), &IF_NONE_MATCH, "\"a\""), "{list}");
        }
        assert!(!contains(&headers(&IF_NONE_MATCH, "a"), &IF_NONE_MATCH, "\"a\""));
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        assert!(contains(&headers(&ACCEPT, browser), &ACCEPT, "text/html"));
        assert!(contains(&headers(&ACCEPT, "text/html;q=0.9"), &ACCEPT, "text/html"));
        assert!(!contains(&headers(&ACCEPT, "*/*"), &ACCEPT, "text/html"));
    }
}
