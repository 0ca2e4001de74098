//! A service whose rescue version answers for all.

use super::*;

fn shown(versions: Value) -> String {
    let members = json!({
        "serving": "rescue", "rescuer": "v1",
        "held": "the split gives v2 100 %, and v2 cannot become normal",
    });
    read(serving(json!([service("shop", versions, members)])), 80)
}

#[test]
fn a_rescue_of_all_requests_is_told() {
    let text = shown(json!([version("v1", json!({}))]));
    let told = "rescued: no version has a share, and the rescue version v1 answers requests:\n    the \
                split gives v2 100 %";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("rescue: the rescue version v1 answers requests; since"), "{text}");
    let text = shown(json!([version("v2", json!({ "status": "creating" }))]));
    assert!(text.contains("starting: the rescue version v1 answers requests until then"), "{text}");
}
