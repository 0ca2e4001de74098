//! Checks a response body against the `content-length` of its head. Clients trust that header:
//! bytes beyond it would be lost, or taken for the next response.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode, response};

use super::invoke::GuestFailure;
use crate::plural::many;

/// The promised length of the body, and how much of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// No length is promised.
    Open,
    Promised {
        length: u64,
        left: u64,
    },
    /// There is no body, whatever the head says of one.
    NoBody,
}

/// Whether the promised length is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Met,
}

impl Length {
    /// The length that the head of a response promises ([RFC 9112, section
    /// 6.3](https://www.rfc-editor.org/rfc/rfc9112#section-6.3)).
    ///
    /// # Errors
    ///
    /// Where the length is not a number, or is given twice.
    pub fn of(head: &response::Parts, is_head_request: bool) -> Result<Self, GuestFailure> {
        let declared = declared(&head.headers)?;
        Ok(match declared {
            _ if is_head_request || is_bodiless(head.status) => Self::NoBody,
            Some(length) => Self::Promised { length, left: length },
            None => Self::Open,
        })
    }

    /// Counts a part of the body.
    ///
    /// # Errors
    ///
    /// Where the body is longer than promised.
    pub fn take(&mut self, bytes: usize) -> Result<Progress, GuestFailure> {
        let Self::Promised { length, left } = self else { return Ok(Progress::More) };
        *left = left.checked_sub(bytes as u64).ok_or_else(|| {
            GuestFailure::BadResponse(format!(
                "its body is longer than its content-length, {length}"
            ))
        })?;
        Ok(if *left == 0 { Progress::Met } else { Progress::More })
    }

    /// Checks the end of the body.
    ///
    /// # Errors
    ///
    /// Where the body is shorter than promised.
    pub fn end(self) -> Result<(), GuestFailure> {
        match self {
            Self::Promised { length, left } if left > 0 => Err(GuestFailure::Truncated(format!(
                "its body ended after {} of {}",
                length - left,
                many(length, "byte")
            ))),
            _ => Ok(()),
        }
    }
}

fn declared(headers: &HeaderMap) -> Result<Option<u64>, GuestFailure> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bad = |what: &str| Err(GuestFailure::BadResponse(format!("its content-length {what}")));
    if values.next().is_some() {
        return bad("is said more than once");
    }
    match number(value.as_bytes()) {
        Some(length) => Ok(Some(length)),
        None => bad("is not a number of bytes"),
    }
}

/// One or more digits, and nothing else
/// ([RFC 9110, section 8.6](https://www.rfc-editor.org/rfc/rfc9110#section-8.6)).
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn of(status: u16, lengths: &[&str], is_head_request: bool) -> Result<Length, GuestFailure> {
        let response = Response::builder().status(status);
        let add = |response: response::Builder, length| response.header("content-length", length);
        let head = lengths.iter().copied().fold(response, add).body(()).unwrap().into_parts().0;
        Length::of(&head, is_head_request)
    }

    #[test]
    fn a_length_is_one_number_of_bytes() {
        assert_eq!(of(200, &[], false), Ok(Length::Open));
        assert_eq!(of(200, &["7"], false), Ok(Length::Promised { length: 7, left: 7 }));
        let most = u64::MAX.to_string();
        assert!(of(200, &[&most], false).is_ok());
        for lengths in
            [&["7", "7"][..], &["7, 7"], &["+7"], &["-7"], &[""], &["0x7"], &[&(most + "0")]]
        {
            let bad = of(200, lengths, false);
            assert!(matches!(bad, Err(GuestFailure::BadResponse(_))), "{lengths:?}: {bad:?}");
        }
    }

    #[test]
    fn a_body_that_is_none_is_held_against_nothing() {
        for (status, is_head_request) in [(200, true), (204, false), (304, false)] {
            let mut length = of(status, &["7"], is_head_request).unwrap();
            assert_eq!(length, Length::NoBody);
            assert_eq!(length.take(9), Ok(Progress::More));
            assert_eq!(length.end(), Ok(()));
        }
    }

    #[test]
    fn a_body_is_neither_longer_nor_shorter() {
        let mut length = of(200, &["7"], false).unwrap();
        assert_eq!(length.take(4), Ok(Progress::More));
        let short = length.end().unwrap_err().to_string();
        assert!(short.contains("after 4 of 7 bytes"), "{short}");
        let mut longer = length;
        let long = longer.take(4).unwrap_err();
        assert!(
            matches!(&long, GuestFailure::BadResponse(why) if why.ends_with("content-length, 7"))
        );
        assert_eq!(length.take(3), Ok(Progress::Met));
        assert_eq!(length.end(), Ok(()));
        assert!(length.take(1).is_err());
    }

    #[test]
    fn an_empty_body_may_be_promised() {
        let mut length = of(200, &["0"], false).unwrap();
        assert_eq!(length.end(), Ok(()));
        assert!(length.take(1).is_err());
    }
}
