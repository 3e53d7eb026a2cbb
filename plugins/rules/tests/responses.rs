//! What responses meet.

use rules::Rules;
use serde_json::{Value, json};
use weir_sdk::{
    ResponseEdits,
    test::{Loaded, Response, request, response},
};

fn edits(config: Value, path: &str, response: &Response) -> ResponseEdits {
    Loaded::<Rules>::new(config)
        .unwrap()
        .on_response(&request().path(path), response)
}

fn set(name: &str, value: &str) -> ResponseEdits {
    let mut edits = ResponseEdits::none();
    edits.set_header(name, value);
    edits
}

#[test]
fn statuses_match_by_number_and_by_class() {
    let config = json!({
        "match": { "bad": { "status": ["5xx", 404] } },
        "response_rule": [{ "when": "bad", "set_header": { "X-Bad": "{status}" } }],
    });
    for (status, is_bad) in [
        (200, false),
        (404, true),
        (403, false),
        (500, true),
        (599, true),
    ] {
        let expected = if is_bad {
            set("X-Bad", &status.to_string())
        } else {
            ResponseEdits::none()
        };
        assert_eq!(edits(config.clone(), "/", &response(status)), expected);
    }
}

#[test]
fn responses_match_by_their_fields_and_by_the_request_they_answer() {
    let config = json!({ "response_rule": [{
        "when": { "response_header": { "name": "Content-Type", "prefix": "text/" }, "path": { "prefix": "/a" } },
        "set_header": { "X-Seen": "{path} {response_header(etag)}" },
    }]});
    let text = response(200)
        .header("content-type", "text/html")
        .header("ETag", "\"1\"");
    assert_eq!(
        edits(config.clone(), "/a", &text),
        set("X-Seen", "/a \"1\"")
    );
    assert_eq!(edits(config.clone(), "/b", &text), ResponseEdits::none());
    assert_eq!(edits(config, "/a", &response(200)), ResponseEdits::none());
}

#[test]
fn all_rules_that_apply_edit_in_order() {
    let config = json!({
        "match": { "error": { "status": "5xx" } },
        "response_rule": [
            { "when": "error", "set_status": 503, "add_header": { "Retry-After": "5" } },
            { "remove_header": ["Server"], "set_var": { "seen": "yes" } },
        ],
    });
    let mut expected = ResponseEdits::none();
    expected
        .add_header("Retry-After", "5")
        .set_status(503)
        .remove_header("Server")
        .set_var("seen", "yes");
    assert_eq!(edits(config, "/", &response(500)), expected);
}

#[test]
fn the_hook_is_asked_for_only_if_there_are_response_rules() {
    let inputs = |config: Value| {
        let rules = Loaded::<Rules>::new(config).unwrap();
        rules
            .inputs()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        inputs(json!({ "rule": [{ "remove_response_header": "Server" }] })),
        [] as [&str; 0]
    );
    let always = json!({ "response_rule": [{ "remove_header": "Server" }] });
    assert_eq!(
        inputs(always),
        ["status"],
        "without any input the proxy would not call"
    );
}
