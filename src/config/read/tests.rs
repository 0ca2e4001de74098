//! Misfits are found where they are, and the reader knows the keys that the JSON Schema knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;

use serde_json::Value;

use super::super::raw::{RawService, RawWatershed};
use super::super::schema;
use super::super::source::Source;
use super::misfit::MisfitKind;
use super::*;

/// The misfits of a text, in the order of the text.
fn misfits<T: FromValue>(text: &str) -> Misfits {
    let mut misfits = Misfits::default();
    let document = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(file::<T>(document.into_inner(), &mut misfits).is_some());
    misfits.found.sort_by_key(|misfit| misfit.span.start);
    misfits
}

/// The report about a service's file: the marked part of the text, the message and the help.
fn said(text: &str) -> Vec<(String, String, String)> {
    let source = Source::new(FilePath::new("/s.toml"), text.to_owned());
    let words = Words::of(&source);
    let found = misfits::<RawService>(text).found;
    let say = |misfit: &misfit::Misfit| {
        let complaint = words.say(misfit);
        (text[misfit.span.clone()].to_owned(), complaint.message, complaint.help)
    };
    found.iter().map(say).collect()
}

fn messages(text: &str) -> Vec<String> {
    said(text).into_iter().map(|(_, message, _)| message).collect()
}

#[test]
fn types_are_said_in_plain_words() {
    let text = "name = 3\ndomains = [1.50, \"a\", true]\nroutes = 1979-05-27\n\
                versions = { x = 1 }\ntraffic = \"no, expected a table\"\n";
    let expected = [
        "`name` must be a string, not 3",
        "each item of `domains` must be a string, not 1.50",
        "each item of `domains` must be a string, not true",
        "`routes` cannot be a date or a time",
        "`versions` must be an array, not a table",
        "`traffic` must be a table, not the string \"no, expected a table\"",
    ];
    assert_eq!(messages(text), expected);
}

#[test]
fn numbers_are_read_as_toml_writes_them() {
    let limits = |value: &str| format!("[[versions]]\nlimits.concurrency = {value}\n");
    for right in ["7", "+7", "0x1F", "0o17", "0b1", "1_000", "9223372036854775807"] {
        assert_eq!(messages(&limits(right)), [""; 0], "{right}");
    }
    let beyond = "`concurrency` cannot be 9223372036854775808, which has more than 64 bits";
    assert_eq!(messages(&limits("9_223_372_036_854_775_808")), [beyond]);
    let beyond = "`concurrency` cannot be 0xffffffffffffffff, which has more than 64 bits";
    assert_eq!(messages(&limits("0xffffffffffffffff")), [beyond]);
    let none = "`concurrency` must be a whole number, not 1000x";
    assert_eq!(messages(&limits("1_000x")), [none], "which toml's parser lets pass");
    let share = |value: &str| messages(&format!("traffic.split.v1 = {value}"));
    assert_eq!(share("90"), [""; 0]);
    assert_eq!(share("12.5"), [""; 0]);
    assert_eq!(share("-inf"), [""; 0], "the model says what is wrong with it");
    assert_eq!(share("'90'"), ["`v1` must be a number, not the string \"90\""]);
}

/// serde gave the place of the array, or none, for what is wrong in an untagged value or in a later
/// table (toml-rs/toml#748, #535).
#[test]
fn a_misfit_has_a_place_of_its_own() {
    let text = "[[versions]]\nname = \"v1\"\nenv.A = { fil = \"a\" }\n\
                [[versions]]\nnmae = \"v2\"\nlimits.memory = true\n";
    let places: Vec<String> = said(text).into_iter().map(|(place, ..)| place).collect();
    assert_eq!(places, ["fil", "nmae", "true"]);
}

/// A misspelt key under a table is no less wrong than one at the top (agent-sh/agnix#1122,
/// dekobon/big-code-analysis#843).
#[test]
fn an_unknown_key_is_found_however_deep() {
    let text = "[traffic]\nstcky = 1\n[traffic.sticky.cookie]\ntll = \"1h\"\n\
                [[traffic.rules]]\nmatch = { haeder = { a = \"b\" } }\n";
    let expected = [
        "there is no key `stcky` in `traffic`",
        "there is no key `tll` in `traffic.sticky.cookie`",
        "there is no key `haeder` in `traffic.rules.match`",
    ];
    assert_eq!(messages(text), expected);
}

#[test]
fn an_unknown_key_may_have_quotes_in_it() {
    let [(_, message, help)] = said("\"a`, expected `b\" = 1").try_into().unwrap();
    assert_eq!(message, "there is no key `a`, expected `b` at the top of the file");
    let keys = "`name`, `domains`, `routes`, `versions`, `traffic` and `quarantine`";
    assert_eq!(help, format!("the keys here are {keys}"));
}

#[test]
fn a_table_that_is_always_inside_is_shown_as_it_is_written() {
    let [(_, _, help)] = said("rules = []").try_into().unwrap();
    assert!(help.starts_with("`rules` is written `[[traffic.rules]]`; "), "{help}");
}

#[test]
fn what_is_left_out_is_known() {
    let misfits = misfits::<RawService>("nmae = 1\ndomains = [2]\ntraffic.split.v1 = \"all\"\n");
    let lost: Vec<_> = misfits.lost.iter().map(|lost| (lost.table.clone(), &lost.key)).collect();
    let key = |key: &str| Some(key.to_owned());
    // The array and its item, the table's key, and the unknown key with the one that was meant.
    let expected = [
        (None, &key("domains")),
        (Some(19..22), &None),
        (Some(31..36), &key("v1")),
        (None, &key("nmae")),
        (None, &key("name")),
    ];
    assert_eq!(lost, expected);
}

#[test]
fn entries_are_sorted_by_name() {
    let text = "[[versions]]\nenv = { B = \"\", A = \"\", C = \"\" }\n";
    let mut misfits = Misfits::default();
    let document = DeTable::parse(text).unwrap().into_inner();
    let service: RawService = file(document, &mut misfits).unwrap();
    let version = service.versions.unwrap().remove(0).into_parts().1;
    let names: Vec<String> = version
        .env
        .unwrap()
        .into_parts()
        .1
        .0
        .into_iter()
        .map(|(name, _)| name.into_parts().1)
        .collect();
    assert_eq!(names, ["A", "B", "C"]);
}

/// A key that no table has.
const STRANGER: &str = "no-such-key";

#[test]
fn the_reader_and_the_schema_know_the_same_keys() {
    let (watershed, service) = schema::schema();
    assert_same_keys::<RawWatershed>(&watershed);
    assert_same_keys::<RawService>(&service);
}

/// Reads a file that has every key of the schema, and an unknown key in every table. Only the unknown keys may be
/// misfits, and the keys listed for each table must be those of the schema.
fn assert_same_keys<T: FromValue>(schema: &Value) {
    let mut wanted = BTreeMap::new();
    let text = example_table(schema, "", &mut wanted, "\n");
    let mut known = BTreeMap::new();
    for misfit in misfits::<T>(&text).found {
        match misfit.what {
            MisfitKind::UnknownKey { table, key, allowed, .. } if key == STRANGER => {
                known.insert(table.join("."), allowed.iter().map(ToString::to_string).collect());
            }
            what => panic!("{what:?}\n{text}"),
        }
    }
    assert_eq!(known, wanted);
    assert!(wanted.len() > 5, "{wanted:?}");
}

type Keys = BTreeMap<String, BTreeSet<String>>;

/// A table with every key of its schema, and an unknown key.
fn example_table(schema: &Value, path: &str, keys: &mut Keys, separator: &str) -> String {
    let properties = schema["properties"].as_object().unwrap();
    keys.insert(path.to_owned(), properties.keys().cloned().collect());
    let mut entries = vec![format!("{STRANGER} = 1")];
    for (key, property) in properties {
        entries.push(format!("{key} = {}", example(property, &below(path, key), keys)));
    }
    entries.join(separator)
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A value that fits the schema.
fn example(schema: &Value, path: &str, keys: &mut Keys) -> String {
    if let Some(choices) = schema["anyOf"].as_array() {
        return example(&choices[0], path, keys);
    }
    match schema["type"].as_str() {
        Some("object") if schema["properties"].is_object() => {
            format!("{{ {} }}", example_table(schema, path, keys, ", "))
        }
        Some("object") => example_entries(&schema["additionalProperties"], path, keys),
        Some("array") => format!("[{}]", example(&schema["items"], path, keys)),
        Some("string") => "\"a\"".to_owned(),
        Some("integer" | "number") => "1".to_owned(),
        Some("boolean") => "true".to_owned(),
        other => panic!("a type that is new here: {other:?}"),
    }
}

/// A table whose keys the user chooses, with every kind of value that it may have.
fn example_entries(schema: &Value, path: &str, keys: &mut Keys) -> String {
    let choices = schema["anyOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    let entries = choices.iter().enumerate().map(|(index, choice)| {
        let key = format!("k{index}");
        format!("{key} = {}", example(choice, &below(path, &key), keys))
    });
    format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
}
