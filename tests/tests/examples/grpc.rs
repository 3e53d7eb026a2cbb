//! `examples/grpc`

use weir_tests::{Script, can_run};

use crate::set_up::Example;

const GREETER: Script = Script {
    file: "../../examples/grpc/greeter.py",
    modules: &["grpc"],
};

#[tokio::test]
async fn calls_are_spread_and_administrative_ones_kept_out() {
    if !can_run(GREETER) {
        return;
    }
    let greeter1 = GREETER.serve(&["serve", "greeter1", "0"]).await;
    let greeter2 = GREETER.serve(&["serve", "greeter2", "0"]).await;
    let weir = Example::named("grpc")
        .listening("*:50050")
        .with("127.0.0.1:50051", greeter1.address())
        .with("127.0.0.1:50052", greeter2.address())
        .start()
        .await;
    let address = weir.address("calls").to_string();
    let said = GREETER.run(&["call", &address, "Ada"]).await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    for line in &lines[..4] {
        assert!(line.starts_with("Hello Ada, says greeter"), "{said}");
    }
    assert_ne!(lines[0], lines[1], "the second call finds the other");
    assert_eq!(lines[4], "PERMISSION_DENIED");
}
