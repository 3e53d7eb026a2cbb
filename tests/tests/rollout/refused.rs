//! New versions that could not take the place of the one in use: refused when the file is loaded, with the place.

use weir_tests::{Weir, fill};
use weir_wat_guests::{Guest, Kind};

use super::{
    passing,
    stage::{filter, with_path},
};

/// What `weir check` says of `next.wasm` beside `current.wasm`.
async fn said(current: &Guest, next: &Guest, lines: &str) -> String {
    let config = fill(&filter(lines), &[("a", &"127.0.0.1:1")]);
    let checked = Weir::builder()
        .file("current.wasm", current.build())
        .file("next.wasm", next.build())
        .check(&config)
        .await;
    assert_eq!(checked.status.code(), Some(1), "{}", checked.stderr);
    checked.stderr
}

const SHADOW: &str = "next = { plugin = \"./next.wasm\", mode = \"shadow\" }";

#[tokio::test]
async fn one_that_cannot_do_what_the_current_one_does() {
    let said = said(
        &Guest::new(Kind::Filter)
            .inputs("on-request", &[])
            .inputs("on-response", &[]),
        &passing(),
        SHADOW,
    )
    .await;
    assert!(
        said.contains("it does not answer `on-response`, which the version in use does"),
        "{said}"
    );
    assert!(
        said.contains("weir.toml:12:28"),
        "where it is named: {said}"
    );
}

#[tokio::test]
async fn one_that_is_something_else() {
    let said = said(&passing(), &Guest::new(Kind::Balancer), SHADOW).await;
    assert!(said.contains("next.wasm (shadow)`"), "{said}");
    assert!(said.contains("balancer"), "{said}");
}

#[tokio::test]
async fn one_that_routes_to_what_is_not_there() {
    let said = said(&passing(), &passing().backends(&["elsewhere"]), SHADOW).await;
    assert!(said.contains("elsewhere"), "{said}");
}

#[tokio::test]
async fn one_that_imports_what_was_not_granted() {
    let next = with_path("").import("clock", "now", "(result i64)");
    let lines = "grant = [\"random\"]\n".to_owned() + SHADOW;
    let found = said(&passing(), &next, &lines).await;
    assert!(found.contains("grant = [\"clock\"]"), "{found}");
}

#[tokio::test]
async fn one_whose_clients_cannot_be_told_apart_where_it_is_asked() {
    let connection = Guest::new(Kind::ConnectionFilter);
    let lines = "next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"5%\", on = \"cookie(id)\" }";
    let said = said(&connection, &connection, lines).await;
    assert!(
        said.contains("`on = \"cookie(id)\"`, which is not known yet when connections are judged"),
        "{said}"
    );
}
