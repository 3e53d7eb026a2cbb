//! `examples/custom-plugin`

use std::time::Duration;

use weir_tests::{Answer, Origin, Weir, component, eventually};

use crate::set_up::{Example, origins, reached};

fn example() -> Example {
    Example::named("custom-plugin").with(
        "../../target/guests/examples/nearest-first.wasm",
        component("nearest-first").display(),
    )
}

async fn start() -> (Weir, [Origin; 3]) {
    let servers = origins(["north-1", "north-2", "south-1"]).await;
    let weir = example()
        .listening("*:8080")
        .with("2s", "500ms")
        .with_servers(
            &["127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003"],
            &servers,
        )
        .start()
        .await;
    (weir, servers)
}

#[tokio::test]
async fn the_other_site_gets_only_what_comes_while_the_own_is_busy() {
    let (weir, servers) = start().await;
    for server in &servers {
        server.answer(Answer::echo().after(Duration::from_secs(60)));
    }
    let (mut held, mut counts) = (Vec::new(), Vec::new());
    for sent in 1..=6 {
        let mut client = weir.client().await;
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
        held.push(client);
        let all = || servers.iter().map(|server| server.requests().len());
        eventually("the request at a server", async || {
            (all().sum::<usize>() == sent).then_some(())
        })
        .await;
        counts.push(all().collect::<Vec<_>>());
    }
    assert_eq!(counts[1], [1, 1, 0]);
    assert_eq!(counts[3], [2, 2, 0], "busy at two");
    assert_eq!(counts[5], [2, 2, 2]);
}

#[tokio::test]
async fn the_other_site_takes_over_while_the_own_is_down() {
    let (weir, [mut north_1, mut north_2, _south_1]) = start().await;
    assert!(
        reached(&weir, 3)
            .await
            .iter()
            .all(|name| name.starts_with("north-"))
    );
    for north in [&mut north_1, &mut north_2] {
        north.stop().await;
    }
    weir.stdout_line("Server apps/north-1 is DOWN").await;
    weir.stdout_line("Server apps/north-2 is DOWN").await;
    assert_eq!(reached(&weir, 2).await, ["south-1", "south-1"]);
}

#[tokio::test]
async fn a_mistake_in_the_plugins_config_is_pointed_at() {
    let checked = example().changed("busy_at", "bussy_at").check().await;
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        checked.stderr.contains("weir.toml:23:"),
        "{}",
        checked.stderr
    );
    assert!(
        checked.stderr.contains("'bussy_at' was unexpected"),
        "{}",
        checked.stderr
    );
}
