//! `examples/deluxe-customers`

use weir_tests::{Origin, Weir, eventually};

use crate::set_up::{Example, origins};

const VIP: &str = "Basic dmlwOmlwYXlnb29kbW9uZXlmb3J0aGlz"; // vip:ipaygoodmoneyforthis
const JOHN: &str = "Basic am9objpzb21lUGFzc3dvcmQ="; // john:somePassword

async fn start() -> (Weir, [Origin; 2]) {
    let servers = origins(["remote", "default"]).await;
    let weir = Example::named("deluxe-customers")
        .listening("*:80")
        .with_servers(&["10.0.0.2", "127.0.0.1:8000"], &servers)
        .start()
        .await;
    (weir, servers)
}

async fn server_of(weir: &Weir, authorization: &str) -> String {
    let response = weir
        .get_with("/", &[("Authorization", authorization)])
        .await;
    assert_eq!(response.status(), 200, "{authorization}");
    response.origin().to_owned()
}

#[tokio::test]
async fn who_does_not_log_in_is_asked_to() {
    let (weir, servers) = start().await;
    let response = weir.get("/").await;
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.header("www-authenticate"),
        Some("Basic realm=\"http-in\"")
    );
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    assert_eq!(response.body().len(), 112, "{response:?}");
    let line = weir.stdout_line(" 401 ").await;
    assert!(
        line.contains(" http-in http-in/<NOSRV> ") && line.contains(" LR-- "),
        "{line}"
    );
    assert!(servers.iter().all(|server| server.connections() == 0));
}

#[tokio::test]
async fn who_gives_wrong_credentials_does_not_pass() {
    let (weir, servers) = start().await;
    for authorization in [
        "Basic dmlwOndyb25n",                             // vip:wrong
        "Basic bWFsbG9yeTppcGF5Z29vZG1vbmV5Zm9ydGhpcw==", // mallory:ipaygoodmoneyforthis
        "Basic dmlw",                                     // vip
        "Basic ***",
        "Bearer dmlwOmlwYXlnb29kbW9uZXlmb3J0aGlz",
    ] {
        let response = weir
            .get_with("/", &[("Authorization", authorization)])
            .await;
        assert_eq!(response.status(), 401, "{authorization}");
    }
    assert!(servers.iter().all(|server| server.connections() == 0));
}

#[tokio::test]
async fn deluxe_customers_are_served_by_their_own_machine_and_nobody_else_is() {
    let (weir, _servers) = start().await;
    for _ in 0..10 {
        assert_eq!(server_of(&weir, VIP).await, "remote");
        assert_eq!(server_of(&weir, JOHN).await, "default");
    }
    let forged = [("Authorization", JOHN), ("user", "vip"), ("X-User", "vip")];
    assert_eq!(weir.get_with("/", &forged).await.origin(), "default");
}

#[tokio::test]
async fn servers_are_told_who_it_is_and_the_scheme_is_read_in_any_case() {
    let (weir, _servers) = start().await;
    let lower = VIP.replacen("Basic", "basic", 1);
    let response = weir.get_with("/", &[("Authorization", &lower)]).await;
    assert_eq!((response.status(), response.origin()), (200, "remote"));
    assert_eq!(response.forwarded("authorization"), [lower]);
}

#[tokio::test]
async fn a_changed_map_moves_a_customer_without_a_new_generation() {
    let (weir, _servers) = start().await;
    assert_eq!(server_of(&weir, JOHN).await, "default");
    weir.write_file(
        "deluxe.map",
        "# paid on Monday\nvip   deluxe\njohn  deluxe\n",
    );
    eventually("john at the deluxe machine", async || {
        (server_of(&weir, JOHN).await == "remote").then_some(())
    })
    .await;
    weir.write_file("deluxe.map", "john deluxe\n");
    eventually("vip among all others", async || {
        (server_of(&weir, VIP).await == "default").then_some(())
    })
    .await;
    assert_eq!(server_of(&weir, JOHN).await, "remote");
    let log = weir.stderr();
    assert!(
        !log.iter().any(|line| line.contains("generation loaded")),
        "{log:?}"
    );
}
