//! Reports what is not TOML in a text. toml's parser says where and what is wrong, and its messages are passed on as
//! they are. What to do, and a plainer message where there is one, comes from a look at the text around the place: most
//! broken files were written by people with another language, or another keyboard, in mind. `document` calls
//! [`explain`].

mod foreign;
mod hint;
mod look_alike;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::Range;

use toml::de::Error;

use super::source::{Complaint, PROBLEMS_MAX, Source};
use hint::{Hint, Place};
use scan::{Opened, Scanner};

/// How many of the parser's errors are looked at. A file with more errors was not meant as configuration.
const ERRORS_MAX: usize = 1000;

/// The problems of a text in which the parser has found errors, in the order of the text. Only the first problem of
/// each line is reported: the others mostly follow from it.
pub fn explain(source: &Source, errors: &[Error]) -> Vec<(Range<usize>, Complaint)> {
    if errors.is_empty() {
        return Vec::new();
    }
    let faults = faults(source, errors);
    let has_error = |place: &Range<usize>| {
        let first = faults.partition_point(|fault| fault.span.start < place.start);
        faults.get(first).is_some_and(|fault| fault.span.start <= place.end)
    };
    let foreign = foreign::parts(&source.text, has_error);
    let is_apart = |fault: &Fault<'_>| {
        !foreign
            .iter()
            .any(|part| part.whole.start <= fault.span.start && fault.span.start <= part.whole.end)
    };
    let apart: Vec<_> = faults.into_iter().filter(is_apart).collect();
    let mut complaints: Vec<_> =
        foreign.into_iter().map(|part| part.hint.complaint("", part.mark)).collect();
    complaints.extend(each(source, apart));
    complaints
}

/// A complaint for each fault that does not follow from another one.
fn each(source: &Source, faults: Vec<Fault<'_>>) -> Vec<(Range<usize>, Complaint)> {
    let unclosed = scan::unclosed(&source.text);
    let mut scanner = Scanner::new(&source.text);
    let (mut complaints, mut lines, mut lacks_comma) = (Vec::new(), HashSet::new(), false);
    // Up to where keys are there twice because their table is.
    let mut second_table = 0;
    for Fault { span, message } in faults {
        if complaints.len() > PROBLEMS_MAX || !lines.insert(source.line_of(span.start)) {
            continue;
        }
        scanner.advance(span.start);
        let place = Place::of(source, &span, &scanner);
        // The parser takes everything that follows for a part of what is not closed.
        if let Some(opened) = unclosed.as_ref().filter(|opened| opened.span.end <= span.start)
            && !place.is_too_deep()
        {
            complaints.push(not_closed(opened).complaint(message, opened.span.clone()));
            break;
        }
        if span.start < second_table && hint::is_key(source, &span) {
            continue;
        }
        if place.is_second_header() {
            second_table = hint::section_end(&source.text, span.end);
        }
        let is_echo = std::mem::replace(&mut lacks_comma, place.lacks_comma()) && lacks_comma;
        if !is_echo {
            complaints.push(place.hint().complaint(message, span));
        }
        if place.hides_closing() {
            break;
        }
    }
    complaints
}

fn not_closed(opened: &Opened) -> Hint {
    let Opened { bracket, closing, what, .. } = opened;
    let message = format!("this `{bracket}` is not closed");
    Hint::new(message, format!("write `{closing}` where the {what} ends"))
}

/// What the parser says about a place.
struct Fault<'a> {
    span: Range<usize>,
    message: &'a str,
}

/// The first of the parser's errors in the order of the text, without errors about well-written keys. Such a key exists
/// twice, or its table is something else, and both may follow from another error: after a broken header, the keys below
/// belong to the table before.
fn faults<'a>(source: &Source, errors: &'a [Error]) -> Vec<Fault<'a>> {
    let fault =
        |error: &'a Error| Fault { span: error.span().unwrap_or(0..0), message: error.message() };
    let mut faults: Vec<_> = errors.iter().map(fault).collect();
    faults.sort_by_key(|fault| fault.span.start);
    faults.truncate(ERRORS_MAX);
    let (keys, others): (Vec<_>, Vec<_>) =
        faults.into_iter().partition(|fault| hint::is_key(source, &fault.span));
    if others.is_empty() { keys } else { others }
}
