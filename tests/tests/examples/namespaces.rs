//! `examples/namespaces`

use weir_tests::{Client, TestNamespace, eventually};

use crate::set_up::Example;

#[tokio::test]
async fn the_directory_server_is_reached_inside_its_namespace() {
    let Some(namespace) = TestNamespace::make() else {
        return;
    };
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    std::fs::write(folder.path().join("hello.txt"), "from inside\n").expect("it can be written");
    let mut server = namespace.command("python3");
    server
        .args(["-m", "http.server", "--bind", "127.0.0.1", "8000"])
        .current_dir(folder.path());
    let Ok(_server) = server.spawn() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    eventually("the server inside", async || {
        let mut asking = namespace.command("curl");
        asking.args(["--silent", "--max-time", "1", "http://127.0.0.1:8000/"]);
        let output = asking.output().await.ok()?;
        output.status.success().then_some(())
    })
    .await;
    let weir = Example::named("namespaces")
        .listening("*:80")
        .with("my-new-namespace", namespace.name())
        .start()
        .await;
    let mut client: Client = weir.client().await;
    let listing = client.get("/").await;
    assert_eq!(listing.status(), 200);
    assert!(listing.text().contains("hello.txt"), "{}", listing.text());
    assert_eq!(client.get("/hello.txt").await.text(), "from inside\n");
}
