//! The life of a cookie in each mode. What is expected is what HAProxy 2.6.12 was seen to do.

use std::time::{Duration, SystemTime};

use weir_sdk::test::{Loaded, Response, host, request, response};

use super::*;

const NOW: u64 = 1_795_226_232;

fn cookie(config: &str) -> Loaded<Cookie> {
    set_clock(NOW);
    Loaded::new(config).expect("the config is sound")
}

fn set_clock(seconds: u64) {
    host::set_clock(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
}

fn refusal(config: &str) -> String {
    Loaded::<Cookie>::new(config).unwrap_err().to_string()
}

fn inserted(set_cookie: &str) -> ResponseEdits {
    let mut edits = ResponseEdits::none();
    edits
        .remove_set_cookie("SERVER")
        .add_header("set-cookie", set_cookie);
    edits
}

/// What a client without a cookie is given by `web-a`.
fn given(config: &str) -> ResponseEdits {
    cookie(config).assigned("web-a", &request(), &response(200))
}

fn check_lookup(config: &str, sent: &str, server: Option<&str>) {
    let found = cookie(config).lookup(&request().cookie("SERVER", sent));
    assert_eq!(found.server.as_deref(), server, "{sent} with {config}");
}

#[test]
fn a_client_without_a_cookie_is_unknown_and_gets_one() {
    let mut plugin = cookie(r#"{"name": "SERVER"}"#);
    assert_eq!(plugin.lookup(&request()), Found::default());
    assert_eq!(
        plugin.assigned("web-a", &request(), &response(200)),
        inserted("SERVER=web-a; path=/")
    );
}

#[test]
fn a_client_with_a_cookie_is_known_and_the_server_sees_the_cookie() {
    let found = cookie("{}").lookup(&request().cookie("SERVER", "web-b"));
    assert_eq!(found.server.as_deref(), Some("web-b"));
    assert!(found.edits.is_empty());
}

#[test]
fn with_indirect_the_server_does_not_see_the_cookie_good_or_bad() {
    let mut gone = RequestEdits::none();
    gone.remove_cookie("SERVER");
    let mut plugin = cookie(r#"{"indirect": true}"#);
    for value in ["web-b", "nobody", ""] {
        assert_eq!(
            plugin.lookup(&request().cookie("SERVER", value)).edits,
            gone
        );
    }
    assert!(plugin.lookup(&request().cookie("x", "1")).edits.is_empty());
}

#[test]
fn the_name_is_case_sensitive_and_the_first_of_several_counts() {
    let mut plugin = cookie("{}");
    assert_eq!(
        plugin.lookup(&request().cookie("server", "web-b")).server,
        None
    );
    let several = request()
        .header("cookie", "x=1; SERVER=web-b; SERVER=web-a")
        .cookie("SERVER", "web-c");
    assert_eq!(plugin.lookup(&several).server.as_deref(), Some("web-b"));
}

#[test]
fn an_empty_key_is_nobodys() {
    check_lookup("{}", "", None);
    check_lookup("{}", "|awD6e", None);
    check_lookup(r#"{"mode": "prefix"}"#, "~abc", None);
}

#[test]
fn attributes_come_in_haproxys_order() {
    assert_eq!(
        given(r#"{"domain": ".ex.com", "httponly": true, "secure": true, "same_site": "strict"}"#),
        inserted("SERVER=web-a; path=/; domain=.ex.com; HttpOnly; Secure; SameSite=Strict")
    );
}

#[test]
fn with_preserve_a_server_that_sets_the_cookie_decides() {
    let mut plugin = cookie(r#"{"preserve": true}"#);
    let own = response(200).header("Set-Cookie", "SERVER=logged-out; path=/");
    assert!(plugin.assigned("web-a", &request(), &own).is_empty());

    let mut added = ResponseEdits::none();
    added.add_header("set-cookie", "SERVER=web-a; path=/");
    assert_eq!(plugin.assigned("web-a", &request(), &response(200)), added);
}

fn is_made_private(method: &str, response: Response) -> bool {
    let mut plugin = cookie(r#"{"indirect": true, "nocache": true}"#);
    let mut private = inserted("SERVER=web-a; path=/");
    private.add_header("cache-control", "private");
    let edits = plugin.assigned("web-a", &request().method(method), &response);
    assert!(
        edits == private || edits == inserted("SERVER=web-a; path=/"),
        "{edits:?}"
    );
    edits == private
}

#[test]
fn nocache_makes_a_response_private_if_it_could_be_cached() {
    for (name, value) in [
        ("Cache-Control", "max-age=60"),
        ("Cache-Control", "public, S-MaxAge=60"),
        ("Expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("ETag", "\"1\""),
        ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ] {
        assert!(
            is_made_private("GET", response(200).header(name, value)),
            "{name}: {value}"
        );
        assert!(
            is_made_private("GET", response(404).header(name, value)),
            "{name}: {value}"
        );
        assert!(
            !is_made_private("GET", response(500).header(name, value)),
            "{name}: {value}"
        );
        assert!(
            !is_made_private("POST", response(200).header(name, value)),
            "{name}: {value}"
        );
    }
}

#[test]
fn nocache_leaves_a_response_that_no_cache_would_keep() {
    assert!(!is_made_private("GET", response(200)));
    assert!(!is_made_private(
        "GET",
        response(200).header("Cache-Control", "public")
    ));
    for (name, value) in [
        ("Cache-Control", "private"),
        ("Cache-Control", "max-age=60, No-Store"),
        ("Cache-Control", "no-cache"),
        ("Pragma", "no-cache"),
    ] {
        let answer = response(200).header("ETag", "\"1\"").header(name, value);
        assert!(!is_made_private("GET", answer), "{name}: {value}");
    }
}

#[test]
fn prefix_puts_the_key_before_the_servers_value_and_takes_it_away_again() {
    let mut plugin = cookie(r#"{"name": "SESS", "mode": "prefix"}"#);
    let own = response(200).header("Set-Cookie", "SESS=abc=~1; HttpOnly");
    let mut prefixed = ResponseEdits::none();
    prefixed.replace_set_cookie_value("SESS", "web-a~abc=~1");
    assert_eq!(plugin.assigned("web-a", &request(), &own), prefixed);
    assert!(
        plugin
            .assigned("web-a", &request(), &response(200))
            .is_empty()
    );

    let found = plugin.lookup(&request().cookie("SESS", "web-a~abc=~1"));
    assert_eq!(found.server.as_deref(), Some("web-a"));
    let mut restored = RequestEdits::none();
    restored.set_cookie_value("SESS", "abc=~1");
    assert_eq!(found.edits, restored);
    assert_eq!(
        plugin.lookup(&request().cookie("SESS", "abc")),
        Found::default()
    );
}

#[test]
fn rewrite_replaces_what_the_server_sets() {
    let mut plugin = cookie(r#"{"mode": "rewrite"}"#);
    let mut rewritten = ResponseEdits::none();
    rewritten.replace_set_cookie_value("SERVER", "web-a");
    let own = response(200).header("Set-Cookie", "SERVER=; path=/");
    assert_eq!(plugin.assigned("web-a", &request(), &own), rewritten);
    check_lookup(r#"{"mode": "rewrite"}"#, "web-a", Some("web-a"));
}

#[test]
fn every_response_matters_only_where_bound_clients_do() {
    assert!(!cookie(r#"{"indirect": true, "nocache": true}"#).wants_all_assigned());
    for config in [
        r#"{"mode": "prefix"}"#,
        r#"{"mode": "rewrite"}"#,
        r#"{"max_idle": "1h"}"#,
    ] {
        assert!(cookie(config).wants_all_assigned(), "{config}");
    }
}

#[test]
fn dates_are_written_as_haproxy_writes_them() {
    assert_eq!(
        given(r#"{"max_idle": "1h"}"#),
        inserted("SERVER=web-a|awD6e; path=/")
    );
    assert_eq!(
        given(r#"{"max_idle": "30m", "max_life": "8h"}"#),
        inserted("SERVER=web-a|awD6e|awD6e; path=/")
    );
    assert_eq!(
        given(r#"{"max_life": "8h"}"#),
        inserted("SERVER=web-a|awD6e|awD6e; path=/")
    );
}

#[test]
fn a_client_that_was_away_too_long_is_unknown() {
    let config = r#"{"max_idle": "1h"}"#;
    let sent = request().cookie("SERVER", "web-a|awD6e");
    let mut plugin = cookie(config);
    set_clock(NOW + 3600);
    assert_eq!(plugin.lookup(&sent).server.as_deref(), Some("web-a"));
    set_clock(NOW + 3601);
    assert_eq!(plugin.lookup(&sent).server, None);
}

#[test]
fn a_client_that_was_bound_too_long_is_unknown_and_starts_anew() {
    let mut plugin = cookie(r#"{"max_life": "1h"}"#);
    let sent = request().cookie("SERVER", "web-a|awD6e|awD6e");
    set_clock(NOW + 3604);
    assert_eq!(plugin.lookup(&sent).server, None);
    assert_eq!(
        plugin.assigned("web-a", &sent, &response(200)),
        inserted("SERVER=web-a|awEIj|awEIj; path=/")
    );
}

#[test]
fn a_client_that_comes_back_gets_a_new_date_and_keeps_its_first() {
    let mut plugin = cookie(r#"{"max_idle": "1h", "max_life": "8h"}"#);
    let sent = request().cookie("SERVER", "web-a|awD6e|awD6e");
    assert!(
        plugin.assigned("web-a", &sent, &response(200)).is_empty(),
        "it is still fresh"
    );
    set_clock(NOW + 60);
    assert_eq!(
        plugin.assigned("web-a", &sent, &response(200)),
        inserted("SERVER=web-a|awD6t|awD6e; path=/")
    );
    assert_eq!(
        plugin.assigned("web-b", &sent, &response(200)),
        inserted("SERVER=web-b|awD6t|awD6e; path=/")
    );
}

#[test]
fn a_cookie_without_a_date_is_good_and_gets_one() {
    let mut plugin = cookie(r#"{"max_idle": "1h"}"#);
    let sent = request().cookie("SERVER", "web-a");
    assert_eq!(plugin.lookup(&sent).server.as_deref(), Some("web-a"));
    assert_eq!(
        plugin.assigned("web-a", &sent, &response(200)),
        inserted("SERVER=web-a|awD6e; path=/")
    );
}

#[test]
fn a_date_from_after_tomorrow_is_not_believed() {
    let mut plugin = cookie(r#"{"max_idle": "1h"}"#);
    let sent = request().cookie("SERVER", "web-a|awD6e");
    set_clock(NOW - 24 * 3600);
    assert_eq!(plugin.lookup(&sent).server.as_deref(), Some("web-a"));
    set_clock(NOW - 24 * 3600 - 1);
    assert_eq!(plugin.lookup(&sent).server, None);
}

#[test]
fn dates_of_a_former_config_do_not_hide_the_server() {
    check_lookup("{}", "web-a|awD6e|awD6e", Some("web-a"));
}

#[test]
fn a_config_that_contradicts_itself_is_refused_at_its_place() {
    assert_eq!(
        refusal(r#"{"mode": "prefix", "max_idle": "1h"}"#),
        "/max_idle: only the mode `insert` makes a cookie of its own that this could apply to"
    );
    assert_eq!(
        refusal(r#"{"name": "a b"}"#),
        "/name: `a b` can't be a cookie's name; letters, digits, `_` and `-` can"
    );
    assert_eq!(
        refusal(r#"{"domain": "a; b"}"#),
        "/domain: `a; b` is not a domain"
    );
    for age in ["1800", "h", "", "1w", "-1h", "99999999999999999999s", "1é"] {
        assert_eq!(
            refusal(&format!(r#"{{"max_idle": "{age}"}}"#)),
            format!(
                "/max_idle: `{age}` is not a time with its unit, such as `90s`, `30m`, `8h` or `7d`"
            )
        );
    }
}

#[test]
fn a_cookie_that_browsers_would_refuse_is_warned_of() {
    cookie(r#"{"same_site": "none"}"#);
    assert_eq!(host::take_log().len(), 1);
    cookie(r#"{"same_site": "none", "secure": true}"#);
    assert_eq!(host::take_log(), []);
}
