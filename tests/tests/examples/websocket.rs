//! `examples/websocket`

use weir_tests::{Origin, Script, can_run, curl};

use crate::set_up::Example;

const CHAT: Script = Script {
    file: "../../examples/websocket/chat.py",
    modules: &["websockets"],
};

#[tokio::test]
async fn chat_goes_to_its_servers_in_turn_and_pages_elsewhere() {
    if !can_run(CHAT) {
        return;
    }
    let chat1 = CHAT.serve(&["serve", "chat1", "0"]).await;
    let chat2 = CHAT.serve(&["serve", "chat2", "0"]).await;
    let pages = Origin::start("pages1").await;
    let weir = Example::named("websocket")
        .listening("*:8080")
        .with("127.0.0.1:5001", chat1.address())
        .with("127.0.0.1:5002", chat2.address())
        .with("127.0.0.1:5003", pages.address())
        .start()
        .await;
    let address = weir.address("web");
    let url = format!("ws://{address}/chat");
    for name in ["chat1", "chat2", "chat1"] {
        let said = CHAT.run(&["say", &url, "hello"]).await;
        assert_eq!(said.trim(), format!("{name}: hello"));
    }
    let page = format!("http://{address}/");
    let output = curl(&["-i", "--http2-prior-knowledge", &page]).await;
    assert!(
        output.stdout.contains("x-origin: pages1"),
        "{}",
        output.stdout
    );
}
