//! What toml's parser says, word for word, and what we make of it.

use std::path::Path;

use proptest::prelude::*;
use toml::de::DeTable;

use super::*;

/// What the reports rely on: broken texts, and for each error the place as line and column, the marked text, and the
/// words. Our reports change when an upgrade of `toml` changes any of these: look at each, bless the golden reports if
/// they are still good, and then update this table.
const PARSER: [(&str, &[&str]); 25] = [
    ("a = \"s", &["1:7 `` invalid basic string, expected `\"`"]),
    ("a = 's\n", &["1:7 `` invalid literal string, expected `'`"]),
    ("a = \"\"\"s\n", &["2:1 `` invalid multi-line basic string, expected `\"`"]),
    (
        "a = \"\\d\"",
        &[
            "1:7 `` missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\\`, `\"`, `x`, `u`, `U`",
        ],
    ),
    (
        "a = \"\\u12\"",
        &["1:10 `` too few unicode value digits, expected unicode hexadecimal value"],
    ),
    ("a = yes", &["1:5 `yes` string values must be quoted, expected literal string"]),
    ("a = True", &["1:5 `True` invalid boolean, expected `true`"]),
    ("a = null", &["1:5 `null` invalid float, expected `nan`"]),
    ("a = 1.2.3", &["1:8 `.3` invalid float, expected nothing"]),
    ("a = 01", &["1:5 `0` unexpected leading zero, expected nothing"]),
    ("a = „b\"", &["1:5 `` missing opening quote, expected `\"`"]),
    ("a =", &["1:4 `` string values must be quoted, expected literal string"]),
    (
        "a == 1",
        &[
            "1:4 `=` extra `=`, expected nothing",
            "1:6 `` unexpected key or value, expected newline, `#`",
        ],
    ),
    ("a 1", &["1:3 `` key with no value, expected `=`"]),
    ("a = \"1\" b = 2", &["1:9 `` unexpected key or value, expected newline, `#`"]),
    ("ü = 1", &["1:1 `ü` invalid unquoted key, expected letters, numbers, `-`, `_`"]),
    ("{", &["1:1 `` invalid key-value pair, expected key"]),
    ("[a", &["1:3 `` unclosed table, expected `]`"]),
    ("[[a]", &["1:5 `` unclosed array table, expected `]`"]),
    ("a = [1", &["1:7 `` unclosed array, expected `]`"]),
    ("a = [\"1\" \"2\"]", &["1:10 `` missing comma between array elements, expected `,`"]),
    ("a = { b = 1", &["1:12 `` unclosed inline table, expected `}`"]),
    ("a = { b 1 }", &["1:9 `` missing assignment between key-value pairs, expected `=`"]),
    ("a = 1\na = 2", &["2:1 `a` duplicate key"]),
    ("a = 1\na.b = 2", &["2:1 `a` cannot extend value of type integer with a dotted key"]),
];

#[test]
fn the_parsers_words_are_those_that_the_reports_rely_on() {
    let said = |text: &str| -> Vec<String> {
        let source = source(text);
        let (_, errors) = DeTable::parse_recoverable(text);
        let say = |error: &Error| {
            let span = error.span().unwrap();
            let (_, column) = source.line(span.start);
            let (line, marked) = (source.line_of(span.start), &text[span]);
            format!("{line}:{} `{marked}` {}", column + 1, error.message())
        };
        errors.iter().map(say).collect()
    };
    let changed = PARSER.iter().filter(|(text, words)| said(text) != *words);
    let changed: Vec<_> = changed.map(|(text, _)| (text, said(text))).collect();
    assert!(changed.is_empty(), "the parser has changed: {changed:#?}");
}

fn source(text: &str) -> Source {
    Source::new(Path::new("/s.toml"), text.to_owned())
}

/// The report about a text: the line, the message without what all have in common, and the help.
fn said(text: &str) -> Vec<(usize, String, String)> {
    let source = source(text);
    let (_, errors) = DeTable::parse_recoverable(text);
    let say = |(span, complaint): (Range<usize>, Complaint)| {
        let message = complaint.message.strip_prefix("this is not TOML: ").unwrap().to_owned();
        (source.line_of(span.start), message, complaint.help)
    };
    explain(&source, &errors).into_iter().map(say).collect()
}

fn helps(text: &str) -> Vec<String> {
    said(text).into_iter().map(|(_, _, help)| help).collect()
}

#[test]
fn what_has_no_hint_of_ours_is_passed_on() {
    let (_, message, help) = said("a = \"b\" c").remove(0);
    assert_eq!(message, "unexpected key or value, expected newline, `#`");
    assert_eq!(help, "write `key = value` on a line of its own");
}

#[test]
fn what_is_open_is_told_once_and_where_it_begins() {
    let rest = "x = 1\n\n[[versions]]\nname = \"v1\"\nlatest = yes\n";
    let array = format!("name = “s”\ndomains = [\n  \"a\", # ]\n{rest}");
    let message =
        |text: &str| said(text).into_iter().map(|(line, message, _)| (line, message)).collect();
    let told: Vec<_> = message(&array);
    let open = |line, what: &str| (line, format!("this `{what}` is not closed"));
    assert_eq!(told, [(1, "`“s”` is not a value".to_owned()), open(2, "[")]);
    let told: Vec<_> = message(&format!("a = 1\nenv = {{ A = [\"}}\"],\n{rest}"));
    assert_eq!(told, [open(2, "{")]);
    let told: Vec<_> = message(&format!("\n\nremark = '''x\n{rest}'' # '''' \n= "));
    assert_eq!(told.len(), 1, "{told:?}");
    let told: Vec<_> = message(&format!("remark = \"\"\"x \\\"\"\"\n{rest}"));
    assert_eq!(told, [open(1, "\"\"\"")]);
}

/// A missing quotation mark hides the bracket behind it.
#[test]
fn an_open_text_is_told_and_not_what_it_hides() {
    for text in ["domains = [\"a]\nx = 1\ny = 2\n", "env = { A = \"b }\nx = 1\ny = yes\n"] {
        let [(line, message, _)] = said(text).try_into().unwrap();
        let expected = "a text that begins with a quotation mark does not end with one";
        assert_eq!((line, message.as_str()), (1, expected));
    }
    let list = "domains = [\n  \"a,\n  \"b\"\n]\nlatest = yes\n";
    let lines: Vec<usize> = said(list).iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [2, 3, 5]);
}

const SEMICOLON: &str = "write `,` between two values, and no mark at the end of a line";
const PARENTHESES: &str =
    "write `{ … }` around a table, `[ … ]` around an array, and nothing around another value";

/// What the advice says is written next, so it must be right.
#[test]
fn values_that_are_none_get_a_hint() {
    let hint = |value: &str| helps(&format!("a = {value}")).remove(0);
    assert_eq!(hint("90%"), "write `90`, without `%`");
    assert_eq!(hint("90 %"), "write `90`, without `%`");
    assert_eq!(hint("90;"), "write `90`, without `;`");
    assert_eq!(hint("{ b = 90; c = 10 }"), "write `,` between two values");
    assert_eq!(hint("{ b = 90; \"c\" = 10 }"), "write `,` between two values");
    assert_eq!(hint("{ b = 90; }"), "write `90`, without `;`");
    assert_eq!(hint("{ b = 90； c = 10 }"), SEMICOLON);
    assert_eq!(hint("90；"), "write `90`");
    assert_eq!(hint("90％"), "write `90`");
    assert_eq!(hint("1; b = 2"), "write each `key = value` on a line of its own");
    assert_eq!(hint("{ b => 90, c => 10 }"), "write `=`");
    assert_eq!(hint("( b = 90, c = 10 )"), PARENTHESES);
    assert_eq!(hint("(1, 2)"), PARENTHESES);
    assert_eq!(hint("（1）"), PARENTHESES);
    assert_eq!(hint("3 // three"), "write `#` before a comment");
    assert_eq!(hint(".5"), "write `0.5`, or put a text in quotation marks");
    assert_eq!(hint("[01, 2]"), "write `1`, or put a text in quotation marks");
    assert_eq!(hint("[1 2]"), "write `,` between two values");
    assert_eq!(hint("[1,, 2]"), "remove it, or write an item before it");
    assert_eq!(hint("'it's'"), "put a text that has `'` in it in double quotation marks: `\"…\"`");
    assert_eq!(hint("\"b\";"), "remove it: a line ends without any mark");
    assert_eq!(hint("# nothing"), "write a value behind `=`, or remove the key");
    assert_eq!(hint("\"x\u{1}\""), "write `\\u0001` in double quotation marks instead");
    for text in ["127.0.0.1:8080", "10s", "1.2.3", "2026-13-45", "https://a.org", "/x", "$X", "+"] {
        let (_, message, help) = said(&format!("a = {text}")).remove(0);
        assert_eq!(message, format!("`{text}` is not a value"));
        let quoted = format!("put a text in quotation marks: `\"{text}\"`");
        assert!(help.starts_with(&quoted), "{help}");
    }
}

#[test]
fn keys_that_are_none_get_a_hint() {
    let hint = |text: &str| helps(text).remove(0);
    assert_eq!(hint("// note"), "write `#` before a comment");
    assert_eq!(hint("; note"), "write `#` before a comment");
    assert_eq!(hint("a = { b = 1\n c = 2 }"), "write `,` before this, or `}` where the table ends");
    assert_eq!(hint("a = 1\na.b = 2"), "put a key that has a dot in quotation marks");
    assert_eq!(hint("a = \"x.y\"\na = 2"), "keep one of the two");
    assert_eq!(hint("[a]\n[a]"), "keep one of the two, with all keys below it");
    assert_eq!(hint("[a]\nx = 1\n[[a]]"), "keep one of the two, with all keys below it");
    assert_eq!(hint("a = 1\rb = 2"), "end lines as on Unix (LF) or as on Windows (CRLF)");
    let unseen = "remove it: delete the text around it, and type that again";
    assert_eq!(hint("a = 1\n\u{feff}b = 2"), unseen);
}

/// Keys below a header that the parser could not read are not at fault for what it says about them.
#[test]
fn keys_below_a_broken_header_are_not_there_twice() {
    let lines: Vec<usize> =
        said("[a\nx = 1\n[b]\nx = 1\n[c\nx = 1\n").iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [1, 5]);
}

#[test]
fn nothing_is_open_at_the_end_of_what_is_right() {
    for text in [
        include_str!("../../../config/watershed.toml"),
        include_str!("../../../config/services/greeter.toml"),
        include_str!("../../../config/services/lab.toml"),
        "a = [ # [\n [1, 2], [[]], { b = [\"]\"] },\n]\n[x]\n[[y]]\nb = ']'\n",
        "a = '''[ ' '' '''\nb = \"\"\"\\\"\"\" [ \"\"\"\"\"\nc = {}\nd = { e = \"\", f = '' }",
        "\"[\" = 1\n'{'.\"[\" = 2\n[a.\"[\"]\nc = \"\\\\\"",
    ] {
        assert!(DeTable::parse(text).is_ok(), "{text}");
        assert!(scan::unclosed(text).is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn every_error_is_told_at_a_place_of_the_text(
        parts in prop::collection::vec("[\\[\\]{}=,.\"'#\\\\:%;\n\r \tab1é“]{0,4}|\"\"\"|'''|\na = ", 0..40),
    ) {
        let text = parts.concat();
        let (_, errors) = DeTable::parse_recoverable(&text);
        let told = explain(&source(&text), &errors);
        prop_assert_eq!(told.is_empty(), errors.is_empty());
        for (span, complaint) in told {
            prop_assert!(span.start <= span.end && span.end <= text.len());
            prop_assert!(complaint.message.len() > "this is not TOML: ".len());
            prop_assert!(!complaint.help.is_empty());
        }
    }

    #[test]
    fn what_the_parser_takes_is_closed(values in prop::collection::vec(value(), 0..6)) {
        let entries = values.iter().enumerate().map(|(n, value)| format!("k{n} = {value} # [\"\n"));
        let text: String = entries.collect();
        prop_assert!(DeTable::parse(&text).is_ok(), "{}", text);
        prop_assert!(scan::unclosed(&text).is_none(), "{}", text);
    }
}

/// A value as it may be written.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1".to_owned()),
        "[\\[\\]{}=,'#b ]{0,6}".prop_map(|text| format!("\"{text}\"")),
        "[\\[\\]{}=,\"#b\\\\ ]{0,6}".prop_map(|text| format!("'{text}'")),
        "[\\[\\]{}=,\"#b\n ]{0,6}".prop_map(|text| format!("'''{text}'''")),
        "[\\[\\]{}=,'#b\n ]{0,6}".prop_map(|text| format!("\"\"\"\\\"{text}\"\"\"")),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let items = prop::collection::vec(inner, 0..4);
        let entry = |(n, value): (usize, &String)| format!("\"]{n}\" = {value}");
        prop_oneof![
            items.clone().prop_map(|items| format!("[{}]", items.join(", # ]\n "))),
            items.prop_map(move |items| {
                let entries: Vec<_> = items.iter().enumerate().map(entry).collect();
                format!("{{ {} }}", entries.join(", "))
            }),
        ]
    })
}

/// A text that does not end on its line may be marked up to between the two bytes of the line's end.
#[test]
fn a_mark_ends_with_its_line() {
    let text = "a = \u{1a}\r\n\"a= \u{1a}\r\n\"a\",\r\n]\r\n".to_owned();
    let source = Source::new(Path::new("/x.toml"), text);
    let (_, errors) = DeTable::parse_recoverable(&source.text);
    let complaints = explain(&source, &errors);
    assert!(!complaints.is_empty());
    for (span, complaint) in complaints {
        let problem = source.spot(span).problem(complaint);
        let length = problem.source.unwrap().chars().count();
        let (column, width) = (problem.column.unwrap(), problem.width.unwrap());
        assert!(column + width - 1 <= length.max(column), "{column} {width} {length}");
    }
}

/// Reports of other projects: what their parsers said, people took for something else (volta-cli/volta#199 and
/// rust-lang/rust#32059 about merges, Deltares/imod_coupler#313 and toml-rs/toml#1108 about texts without quotation
/// marks).
#[test]
fn what_misled_people_elsewhere_is_told_in_their_words() {
    let text = "a = 1\n<<<<<<< HEAD\nb = 1\n=======\nb = 2\n>>>>>>> other\nc = 3\n";
    let told: Vec<_> = said(text).into_iter().map(|(line, message, _)| (line, message)).collect();
    let merge = "a merge left two versions of this text, up to line 6".to_owned();
    assert_eq!(told, [(2, merge)]);
    let [(_, message, help)] = said("dll = \\path\\to\\MetaSWAP.dll").try_into().unwrap();
    assert_eq!(message, "`\\path\\to\\MetaSWAP.dll` is not a value");
    assert_eq!(help, "put a text in quotation marks: `'\\path\\to\\MetaSWAP.dll'`");
    let [(_, message, _)] = said("x = 42_hello").try_into().unwrap();
    assert_eq!(message, "`42_hello` is not a value");
}

/// A text in several lines may show a merge, and be right.
#[test]
fn what_is_quoted_is_no_merge() {
    let text = "a = \"\"\"\n<<<<<<< HEAD\n=======\n>>>>>>> other\n\"\"\"\nb = yes\n";
    let lines: Vec<usize> = said(text).iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [6]);
}

/// A shower of reports about one cause is read by nobody.
#[test]
fn a_text_in_another_language_is_told_once() {
    for (text, language) in [
        ("name: s\nversions:\n  - name: v1\n", "YAML"),
        ("{\n  \"name\": \"s\"\n}\n", "JSON"),
        ("<a>\n  <b c=\"d\"/>\n</a>\n", "XML"),
        ("server {\n  listen 80;\n}\n", "nginx"),
        ("--- a\n+++ b\n@@ -1 +1 @@\n-a = 1\n+a = 2\n", "diff"),
        ("a = 1\n{{ if b }}\nc = {{ d }}\n", "template"),
    ] {
        let [(_, message, help)] = said(text).try_into().unwrap();
        assert!(message.contains(language), "{message}");
        assert!(!help.is_empty());
    }
}
