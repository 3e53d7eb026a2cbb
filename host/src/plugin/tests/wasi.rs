//! WASI with nothing behind it: what works, what is refused, and what guests get done that mean harm.

use weir_wat_guests::{Guest, Kind};

use super::*;
use crate::plugin::{CallFault, Cause};

const STDOUT: &str = "wasi:cli/stdout@0.2.3";
const STREAMS: &str = "wasi:io/streams@0.2.3";
const POLL: &str = "wasi:io/poll@0.2.3";
const CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.3";
const RANDOM: &str = "wasi:random/random@0.2.3";

const WRITE: &str = "[method]output-stream.write";
const WRITE_TYPE: &str = "(param i32 i32 i32 i32)";

fn granted(guest: &Guest) -> Use {
    let mut used = used(guest, Place::Filter);
    used.grants.clock = true;
    used.grants.random = true;
    used
}

/// A filter whose every call does `body`, which must leave an address.
fn filter(prepare: impl Fn(Guest) -> Guest, body: &str) -> Use {
    granted(&prepare(Guest::new(Kind::RequestFilter)).with("on-request", body))
}

/// The fault of a filter that misbehaves from its second call on.
fn evil(prepare: impl Fn(Guest) -> Guest, body: &str) -> CallFault {
    let guest = prepare(Guest::new(Kind::RequestFilter)).later("on-request", body);
    let plugin = granted(&guest).plugin();
    let mut instance = plugin.instantiate().unwrap();
    instance.on_request(&[]).unwrap();
    let fault = instance.on_request(&[]).unwrap_err().fault;
    plugin.instantiate().unwrap().on_request(&[]).unwrap();
    fault
}

fn printing(guest: Guest) -> Guest {
    guest
        .wasi(STDOUT, "get-stdout", "(result i32)")
        .wasi(STREAMS, WRITE, WRITE_TYPE)
}

fn trap_text(fault: &CallFault) -> &str {
    match fault {
        CallFault::Trap { message } => message,
        other => panic!("{other}"),
    }
}

#[test]
fn a_filter_that_prints_is_a_filter_like_any_other() {
    let body = "
        (call $streams.output-stream.write
            (call $stdout.get-stdout) (i32.const 1024) (i32.const 5) (i32.const 160))
        (if (i32.load8_u (i32.const 160)) (then unreachable))
        (i32.const 16)";
    let mut text = Guest::new(Kind::RequestFilter);
    assert_eq!(text.text("hi!\n\n").1, 5);
    let used = granted(&printing(text).with("on-request", body));
    used.instance().on_request(&[]).unwrap();
}

#[test]
fn there_are_no_files_no_variables_and_no_arguments() {
    let empty = |call: &str| {
        format!(
            "({call} (i32.const 160)) (if (i32.load offset=4 (i32.const 160)) (then unreachable))"
        )
    };
    let body = [
        empty("call $preopens.get-directories"),
        empty("call $environment.get-environment"),
        empty("call $environment.get-arguments"),
        // An option: the first byte says whether there is one.
        "(call $environment.initial-cwd (i32.const 160))
         (if (i32.load8_u (i32.const 160)) (then unreachable))
         (i32.const 16)"
            .to_owned(),
    ];
    let environment = "wasi:cli/environment@0.2.3";
    let used = filter(
        |guest| {
            guest
                .wasi(
                    "wasi:filesystem/preopens@0.2.3",
                    "get-directories",
                    "(param i32)",
                )
                .wasi(environment, "get-environment", "(param i32)")
                .wasi(environment, "get-arguments", "(param i32)")
                .wasi(environment, "initial-cwd", "(param i32)")
        },
        &body.concat(),
    );
    used.instance().on_request(&[]).unwrap();
}

#[test]
fn a_name_is_not_looked_up_and_the_program_is_told_so() {
    // 160: 1 (an error); 164: its case, the second, access-denied.
    let body = "
        (call $ip-name-lookup.resolve-addresses
            (call $instance-network.instance-network) (i32.const 1024) (i32.const 11) (i32.const 160))
        (if (i32.ne (i32.load8_u (i32.const 160)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 164)) (i32.const 1)) (then unreachable))
        (i32.const 16)";
    let mut guest = Guest::new(Kind::RequestFilter)
        .wasi(
            "wasi:sockets/instance-network@0.2.3",
            "instance-network",
            "(result i32)",
        )
        .wasi(
            "wasi:sockets/ip-name-lookup@0.2.3",
            "resolve-addresses",
            "(param i32 i32 i32 i32)",
        );
    guest.text("example.com");
    granted(&guest.with("on-request", body))
        .instance()
        .on_request(&[])
        .unwrap();
}

#[test]
fn input_is_at_its_end() {
    let body = "
        (call $streams.input-stream.blocking-read
            (call $stdin.get-stdin) (i64.const 4096) (i32.const 160))
        (if (i32.ne (i32.load8_u (i32.const 160)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 164)) (i32.const 1)) (then unreachable))
        (i32.const 16)";
    let used = filter(
        |guest| {
            guest
                .wasi("wasi:cli/stdin@0.2.3", "get-stdin", "(result i32)")
                .wasi(
                    STREAMS,
                    "[method]input-stream.blocking-read",
                    "(param i32 i64 i32)",
                )
        },
        body,
    );
    used.instance().on_request(&[]).unwrap();
}

#[test]
fn the_clocks_go_and_random_bytes_differ() {
    let body = "
        (if (i64.gt_u (call $monotonic-clock.now) (call $monotonic-clock.now)) (then unreachable))
        (call $wall-clock.now (i32.const 160))
        (if (i64.lt_u (i64.load (i32.const 160)) (i64.const 1577836800)) (then unreachable))
        (if (i64.eq (call $random.get-random-u64) (call $random.get-random-u64)) (then unreachable))
        (call $random.get-random-bytes (i64.const 19) (i32.const 160))
        (if (i32.ne (i32.load offset=4 (i32.const 160)) (i32.const 19)) (then unreachable))
        (i32.const 16)";
    let used = filter(
        |guest| {
            guest
                .wasi(CLOCK, "now", "(result i64)")
                .wasi("wasi:clocks/wall-clock@0.2.3", "now", "(param i32)")
                .wasi(RANDOM, "get-random-u64", "(result i64)")
                .wasi(RANDOM, "get-random-bytes", "(param i64 i32)")
        },
        body,
    );
    used.instance().on_request(&[]).unwrap();
}

#[test]
fn time_and_random_numbers_of_wasi_need_the_grants_of_the_contract() {
    for (interface, function, signature, line) in [
        (CLOCK, "now", "(result i64)", "grant = [\"clock\"]"),
        (
            RANDOM,
            "get-random-u64",
            "(result i64)",
            "grant = [\"random\"]",
        ),
    ] {
        let guest = Guest::new(Kind::RequestFilter).wasi(interface, function, signature);
        let error = used(&guest, Place::Filter).refused().to_string();
        assert!(error.contains(interface) && error.contains(line), "{error}");
    }
    let guest = Guest::new(Kind::RequestFilter).wasi(STDOUT, "get-stdout", "(result i32)");
    used(&guest, Place::Filter).plugin();
}

#[test]
fn what_is_called_wasi_and_is_not_of_the_usual_packages_stays_foreign() {
    let keyvalue = "wasi:keyvalue/store@0.2.0";
    let guest = Guest::new(Kind::RequestFilter).wasi(keyvalue, "open", "(result i32)");
    let error = used(&guest, Place::Filter).refused().to_string();
    assert!(
        error.contains(&format!("`{keyvalue}`, which Weir doesn't offer")),
        "{error}"
    );
}

#[test]
fn to_exit_ends_the_call_and_not_the_proxy() {
    let exit = |guest: Guest| guest.wasi("wasi:cli/exit@0.2.3", "exit", "(param i32)");
    let fault = evil(exit, "(call $exit.exit (i32.const 0))");
    assert!(
        trap_text(&fault).starts_with("it ended itself with `wasi:cli/exit`"),
        "{fault}"
    );
}

#[test]
fn a_function_that_cannot_refuse_ends_the_call_and_is_named() {
    let fields = |guest: Guest| {
        guest
            .wasi(
                "wasi:http/types@0.2.3",
                "[constructor]fields",
                "(result i32)",
            )
            .wasi(
                "wasi:http/types@0.2.3",
                "[method]fields.count",
                "(param i32) (result i32)",
            )
    };
    let fault = evil(
        fields,
        "(drop (call $types.fields.count (call $types.fields)))",
    );
    assert!(
        trap_text(&fault)
            .starts_with("it called `wasi:http/types.fields.count`, and plugins have no access"),
        "{fault}"
    );
}

#[test]
fn a_kind_of_handle_may_have_several_names() {
    let types = "wasi:http/types@0.2.3";
    let used = filter(
        |guest| {
            guest
                .wasi(types, "[constructor]fields", "(result i32)")
                .wasi(types, "[constructor]request", "(param i32) (result i32)")
        },
        "(drop (call $types.request (call $types.fields))) (i32.const 16)",
    );
    used.instance().on_request(&[]).unwrap();
}

fn waiting(guest: Guest) -> Guest {
    guest
        .wasi(CLOCK, "subscribe-duration", "(param i64) (result i32)")
        .wasi(POLL, "[method]pollable.block", "(param i32)")
        .wasi(POLL, "[method]pollable.ready", "(param i32) (result i32)")
        .wasi(POLL, "poll", "(param i32 i32 i32)")
}

#[test]
fn nobody_waits_for_a_plugin_that_sleeps() {
    let timer = "(call $monotonic-clock.subscribe-duration (i64.const 60000000000))";
    let polled = format!(
        "(i32.store (i32.const 192) {timer})
         (call $poll.poll (i32.const 192) (i32.const 1) (i32.const 160))"
    );
    for body in [format!("(call $poll.pollable.block {timer})"), polled] {
        let began = std::time::Instant::now();
        let fault = evil(waiting, &body);
        assert!(
            trap_text(&fault).contains("it wants to wait (`wasi:io/poll."),
            "{fault}"
        );
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_time_that_has_come_is_no_wait() {
    let body = "
        (local $timer i32)
        (local.set $timer (call $monotonic-clock.subscribe-duration (i64.const 0)))
        (if (i32.eqz (call $poll.pollable.ready (local.get $timer))) (then unreachable))
        (call $poll.pollable.block (local.get $timer))
        (i32.store (i32.const 192) (local.get $timer))
        (call $poll.poll (i32.const 192) (i32.const 1) (i32.const 160))
        (if (i32.ne (i32.load offset=4 (i32.const 160)) (i32.const 1)) (then unreachable))
        (i32.const 16)";
    filter(waiting, body).instance().on_request(&[]).unwrap();
}

#[test]
fn a_hundred_megabytes_of_output_are_stopped_by_a_quota() {
    let fault = evil(
        printing,
        "(loop $more
            (call $streams.output-stream.write
                (call $stdout.get-stdout) (i32.const 0) (i32.const 60000) (i32.const 160))
            (br $more))",
    );
    // Whichever comes first: the calls, the time, or the handles that it never gives back.
    let stopped = fault.cause() == Cause::Quota
        || fault.cause() == Cause::Deadline
        || trap_text(&fault).contains("WASI resources");
    assert!(stopped, "{fault}");

    // One stream, 64 KiB at a time: the number of calls allows more than that, the log takes a few lines.
    let fault = evil(
        |guest| printing(guest).item("(global $out (mut i32) (i32.const 0))"),
        "(global.set $out (call $stdout.get-stdout))
         (loop $more
            (call $streams.output-stream.write
                (global.get $out) (i32.const 0) (i32.const 65536) (i32.const 160))
            (br $more))",
    );
    let cause = fault.cause();
    assert!(
        matches!(cause, Cause::Quota | Cause::Deadline),
        "a busy machine may need the deadline: {fault}"
    );
}

#[test]
fn more_than_an_answers_worth_cannot_be_printed_in_one_go() {
    let guest = printing(Guest::new(Kind::RequestFilter).pages(60)).later(
        "on-request",
        "(call $streams.output-stream.write
            (call $stdout.get-stdout) (i32.const 0) (i32.const 3500000) (i32.const 160))",
    );
    let mut used = granted(&guest);
    used.memory = 8 << 20;
    let mut instance = used.instance();
    instance.on_request(&[]).unwrap();
    let fault = instance.on_request(&[]).unwrap_err().fault;
    assert!(matches!(fault, CallFault::Data { .. }), "{fault}");
}

#[test]
fn handles_without_end_are_stopped_by_a_limit() {
    let fault = evil(
        |guest| guest.wasi(STDOUT, "get-stdout", "(result i32)"),
        "(loop $more (drop (call $stdout.get-stdout)) (br $more))",
    );
    assert!(trap_text(&fault).contains("1024 WASI resources"), "{fault}");
}

#[test]
fn handles_that_are_given_back_can_be_had_for_ever() {
    let body = "
        (local $n i32)
        (loop $more
            (call $streams.output-stream (call $stdout.get-stdout))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $n) (i32.const 4000))))
        (i32.const 16)";
    let used = filter(
        |guest| {
            guest.wasi(STDOUT, "get-stdout", "(result i32)").wasi(
                STREAMS,
                "[resource-drop]output-stream",
                "(param i32)",
            )
        },
        body,
    );
    used.instance().on_request(&[]).unwrap();
}

#[test]
fn spinning_on_a_clock_ends_with_the_quota_of_calls() {
    let fault = evil(
        |guest| guest.wasi(CLOCK, "now", "(result i64)"),
        "(loop $more (drop (call $monotonic-clock.now)) (br $more))",
    );
    let limit = RUNTIME.options().max_imports;
    assert_eq!(fault, CallFault::Imports { limit });
}

#[test]
fn more_random_bytes_than_anyone_needs_are_refused() {
    let fault = evil(
        |guest| guest.wasi(RANDOM, "get-random-bytes", "(param i64 i32)"),
        "(call $random.get-random-bytes (i64.const -1) (i32.const 160))",
    );
    assert!(
        trap_text(&fault).contains("random bytes at once"),
        "{fault}"
    );
}

#[test]
fn a_handle_that_was_never_given_out_is_refused() {
    for handle in ["0", "7", "-1"] {
        let write = format!(
            "(call $streams.output-stream.write
                (i32.const {handle}) (i32.const 0) (i32.const 4) (i32.const 160))"
        );
        let fault = evil(printing, &write);
        assert!(matches!(fault, CallFault::Trap { .. }), "{fault}");
    }
}
