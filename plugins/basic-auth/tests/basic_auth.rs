//! What clients meet, from a config to the decision.

use base64::{Engine, engine::general_purpose::STANDARD};
use basic_auth::BasicAuth;
use serde_json::{Value, json};
use weir_sdk::{
    Decision, RequestEdits, Verdict,
    log::Level,
    test::{Loaded, Request, host, request},
};

/// `secret`
const HASH: &str = "$6$rounds=1000$weirsalt$4oaRF1u2asmwZWSNGXduNmlI3P7/VORxlvwdBj7m7JNUyKAk6CBvHXoa8H7OuIEr251W/Jn1yGmrGs0FcsZWe/";
/// `U*U`
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn load(config: Value) -> Loaded<BasicAuth> {
    Loaded::new(config).unwrap()
}

fn complaint(config: Value) -> String {
    Loaded::<BasicAuth>::new(config).unwrap_err().0
}

/// Ann, whose password is `secret`, and what else the config should say.
fn ann(more: Value) -> Value {
    let mut config =
        json!({ "user": [{ "name": "ann", "password_hash": HASH, "groups": ["vip", "staff"] }] });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    config
}

fn with(name: &str, password: &str) -> Request {
    let text = STANDARD.encode(format!("{name}:{password}"));
    request().header("Authorization", &format!("Basic {text}"))
}

fn as_user(name: &str, groups: &str) -> Decision {
    Decision::pass().edit(|request| request.set_var("user", name).set_var("groups", groups))
}

fn challenge(realm: &str) -> Decision {
    Decision::deny(401).edit_response(|response| {
        response.set_header("www-authenticate", &format!("Basic realm=\"{realm}\""))
    })
}

#[test]
fn the_right_password_passes_and_says_who_it_is() {
    let mut auth = load(ann(json!({})));
    for _ in 0..2 {
        assert_eq!(
            auth.on_request(&with("ann", "secret")),
            as_user("ann", "vip,staff")
        );
    }
}

#[test]
fn everybody_else_is_asked_for_a_password() {
    let mut auth = load(ann(json!({})));
    let twice = with("ann", "secret").header("Authorization", "Basic eDp5");
    for request in [
        request(),
        with("ann", "wrong"),
        with("ann", ""),
        with("ann", "secret\0"),
        with("ann", "secret\0junk"),
        with("Ann", "secret"),
        with("bob", "secret"),
        with("", "secret"),
        request().header("Authorization", "Basic YW5uOnNlY3JldA"),
        request().header("Authorization", "Bearer YW5uOnNlY3JldA=="),
        twice,
    ] {
        assert_eq!(auth.on_request(&request), challenge("web"), "{request:?}");
    }
    assert_eq!(
        auth.on_request(&with("ann", "secret")),
        as_user("ann", "vip,staff")
    );
    assert_eq!(
        auth.on_request(&with("ann", "wrong")),
        challenge("web"),
        "a success before helps nobody"
    );
}

#[test]
fn the_realm_is_the_frontends_name_unless_given() {
    let at = request().frontend("shop");
    assert_eq!(load(ann(json!({}))).on_request(&at), challenge("shop"));
    let mut named = load(ann(json!({ "realm": "My \"App\" \\o/" })));
    assert_eq!(named.on_request(&at), challenge(r#"My \"App\" \\o/"#));
    assert!(
        !named.inputs().contains(&"frontend-name"),
        "what is not needed is not asked for"
    );
}

#[test]
fn passwords_may_be_in_clear_text_only_if_spelled_so() {
    let mut auth = load(json!({ "user": [{ "name": "ann", "insecure_password": "pa:ss" }] }));
    assert_eq!(auth.on_request(&with("ann", "pa:ss")), as_user("ann", ""));
    assert_eq!(auth.on_request(&with("ann", "pa")), challenge("web"));
    let plain = json!({ "user": [{ "name": "ann", "password_hash": "secret" }] });
    assert!(complaint(plain).starts_with("/user/0/password_hash: not a password hash"));
}

#[test]
fn parts_of_a_site_can_be_open() {
    let mut auth = load(ann(
        json!({ "paths": ["/admin", "/api/"], "except_paths": ["/api/public"] }),
    ));
    let mut is_open = |path: &str| auth.on_request(&request().path(path)).verdict == Verdict::Pass;
    for path in [
        "/",
        "/index",
        "/administer",
        "/api/public",
        "/api/public/x",
        "/apix",
    ] {
        assert!(is_open(path), "{path}");
    }
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/api",
        "/api/x",
        "/api/publicity",
        "*",
    ] {
        assert!(!is_open(path), "{path}");
    }
    let mut all_but = load(ann(json!({ "except_paths": ["/health"] })));
    assert_eq!(
        all_but.on_request(&request().path("/health")),
        Decision::pass()
    );
    assert_eq!(
        all_but.on_request(&request().path("/healthy")),
        challenge("web")
    );
}

#[test]
fn who_is_not_asked_may_still_say_who_it_is() {
    let mut auth = load(ann(json!({ "optional": true })));
    assert_eq!(
        auth.on_request(&with("ann", "secret")),
        as_user("ann", "vip,staff")
    );
    assert_eq!(auth.on_request(&request()), Decision::pass());
    assert_eq!(auth.on_request(&with("ann", "wrong")), Decision::pass());
}

#[test]
fn credentials_can_be_kept_from_the_servers() {
    let mut auth = load(ann(
        json!({ "strip_authorization": true, "except_paths": ["/open"] }),
    ));
    let decision = auth.on_request(&with("ann", "secret"));
    let expected =
        as_user("ann", "vip,staff").edit(|request| request.remove_header("authorization"));
    assert_eq!(decision, expected);
    let mut stripped = RequestEdits::none();
    stripped.remove_header("authorization");
    assert_eq!(
        auth.on_request(&with("ann", "secret").path("/open")).edits,
        stripped
    );
    assert_eq!(auth.on_request(&request().path("/open")), Decision::pass());
}

#[test]
fn a_map_brings_users_and_its_changes_count_at_once() {
    host::set_map(
        "users",
        &[("bob", &format!("{HASH} vip,staff")), ("eve", BCRYPT)],
    );
    let mut auth = load(ann(json!({ "users_map": "users" })));
    assert_eq!(
        auth.on_request(&with("bob", "secret")),
        as_user("bob", "vip,staff")
    );
    assert_eq!(auth.on_request(&with("eve", "U*U")), as_user("eve", ""));
    assert_eq!(
        auth.on_request(&with("ann", "secret")),
        as_user("ann", "vip,staff")
    );

    host::set_map(
        "users",
        &[("bob", BCRYPT), ("max", &format!("{HASH} staff"))],
    );
    assert_eq!(
        auth.on_request(&with("bob", "secret")),
        challenge("web"),
        "what was verified is forgotten"
    );
    assert_eq!(auth.on_request(&with("eve", "U*U")), challenge("web"));
    assert_eq!(auth.on_request(&with("bob", "U*U")), as_user("bob", ""));
    assert_eq!(
        auth.on_request(&with("max", "secret")),
        as_user("max", "staff")
    );
    assert_eq!(
        auth.on_request(&with("ann", "secret")),
        as_user("ann", "vip,staff")
    );
}

#[test]
fn a_bad_line_in_a_changed_map_locks_out_one_user_and_is_logged() {
    host::set_map("users", &[("bob", HASH)]);
    let mut auth = load(json!({ "users_map": "users" }));
    host::set_map("users", &[("bob", HASH), ("eve", "secret"), ("max", "")]);
    host::take_log();
    assert_eq!(auth.on_request(&with("bob", "secret")), as_user("bob", ""));
    assert_eq!(auth.on_request(&with("eve", "secret")), challenge("web"));
    let log = host::take_log();
    assert_eq!(log.len(), 2, "once per change, not per request: {log:?}");
    assert_eq!(log[0].0, Level::Error);
    assert!(
        log[0].1.contains("user `eve`: not a password hash"),
        "{}",
        log[0].1
    );
    host::set_map("users", &[]);
    assert_eq!(
        auth.on_request(&with("bob", "secret")),
        challenge("web"),
        "nobody is left"
    );
}

#[test]
fn a_config_that_cannot_be_meant_is_refused() {
    assert!(complaint(json!({})).contains("add a `user` or a `users_map`"));
    assert!(complaint(json!({ "users_map": "users" })).contains(
        r#"/users_map: no map `users` is granted to this filter; add `maps = ["users"]`"#
    ));
    assert!(complaint(ann(json!({ "paths": [] }))).starts_with("/paths: an empty list"));
    assert!(
        complaint(ann(json!({ "paths": ["/ok", "admin"] })))
            .starts_with("/paths/1: `admin` can never match")
    );
    assert!(
        complaint(ann(json!({ "except_paths": ["/a/../b"] }))).starts_with("/except_paths/0: ")
    );
    assert!(complaint(ann(json!({ "realm": "a\r\nb" }))).starts_with("/realm: "));
    assert!(complaint(ann(json!({ "relm": "x" }))).contains("unknown field `relm`"));
    let user = |user: Value| complaint(json!({ "user": [user] }));
    assert!(user(json!({ "name": "a" })).contains("/user/0: a user needs a `password_hash`"));
    assert!(
        user(json!({ "name": "a:b", "insecure_password": "x" }))
            .starts_with("/user/0/name: a name with `:`")
    );
    assert!(
        user(json!({ "name": "", "insecure_password": "x" }))
            .starts_with("/user/0/name: a user needs a name")
    );
    assert!(
        user(json!({ "name": "a", "insecure_password": "x", "password_hash": HASH }))
            .contains("not both")
    );
    assert!(
        user(json!({ "name": "a", "insecure_password": "x", "groups": ["a,b"] }))
            .starts_with("/user/0/groups: `a,b`")
    );
    let twice = json!({ "user": [{ "name": "a", "insecure_password": "x" }, { "name": "a", "insecure_password": "y" }] });
    assert!(complaint(twice).starts_with("/user/1/name: user `a` is there twice"));
    host::set_map("users", &[("ann", HASH)]);
    assert!(
        complaint(ann(json!({ "users_map": "users" })))
            .contains("user `ann` is in the config as well")
    );
    host::set_map("users", &[("bob", "$1$x$y")]);
    assert!(
        complaint(json!({ "users_map": "users" }))
            .contains("/users_map: user `bob`: hashes of the kind `$1$`")
    );
    host::set_map("users", &[("bob", &format!("{HASH} a b"))]);
    assert!(complaint(json!({ "users_map": "users" })).contains("groups are joined by commas"));
}

#[test]
fn a_hash_that_needs_other_limits_is_said_to() {
    host::take_log();
    let dear = BCRYPT.replace("$05$", "$12$");
    load(
        json!({ "user": [{ "name": "ann", "password_hash": dear }, { "name": "bob", "password_hash": HASH }] }),
    );
    let large =
        "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$9qWtwbpyPd3vm1rB1GThgPzZ3/ydHL92zKL+15XZypg";
    load(json!({ "user": [{ "name": "eve", "password_hash": large }] }));
    let log: Vec<String> = host::take_log().into_iter().map(|(_, text)| text).collect();
    assert!(
        log[0].contains("`ann`") && log[0].contains("set `deadline = \""),
        "{log:?}"
    );
    assert!(
        log[1].contains("`eve`") && log[1].contains("set `deadline = \""),
        "{log:?}"
    );
    assert!(
        log[2].contains("takes 64 MiB") && log[2].contains("set `memory = \"128MiB\"`"),
        "{log:?}"
    );
    load(ann(json!({})));
    assert_eq!(host::take_log(), []);
}

#[test]
fn the_variables_can_have_other_names() {
    let config = serde_json::json!({
        "user": [{ "name": "ann", "insecure_password": "a", "groups": ["staff"] }],
        "user_var": "user.admins",
        "groups_var": "groups.admins",
    });
    let mut plugin = Loaded::<BasicAuth>::new(config).unwrap();
    let request = request().header("Authorization", "Basic YW5uOmE=");
    let text = format!("{:?}", plugin.on_request(&request));
    assert!(
        text.contains("user.admins") && text.contains("groups.admins"),
        "{text}"
    );
}
