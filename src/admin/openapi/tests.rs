//! That the description has every path of the listener, and no other.

use std::collections::BTreeSet;

use super::*;
use crate::admin::routes::PATHS;

#[test]
fn every_method_of_every_path_is_described() {
    let is_described_once = |method: &str| !["HEAD", "OPTIONS"].contains(&method);
    let served: BTreeSet<_> = PATHS
        .iter()
        .flat_map(|(path, methods)| methods.split(", ").map(move |method| (*path, method)))
        .filter(|(_, method)| is_described_once(method))
        .map(|(path, method)| (path, method.to_ascii_lowercase()))
        .collect();
    let described: BTreeSet<_> =
        OPERATIONS.iter().map(|it| (it.path, it.method.to_owned())).collect();
    assert_eq!(described, served);
    assert_eq!(described.len(), OPERATIONS.len());
    let ids: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), OPERATIONS.len());
}

#[test]
fn every_reference_leads_to_a_schema() {
    let document = document();
    let text = document.to_string();
    let references: BTreeSet<_> = text
        .split("\"$ref\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().trim_start_matches('#'))
        .collect();
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for operation in OPERATIONS {
        let at = operation.path.replace('/', "~1");
        let at = format!("/paths/{at}/{}/responses", operation.method);
        let answers = document.pointer(&at).and_then(Value::as_object).unwrap();
        assert!(answers.contains_key("default"), "{at}");
    }
}
