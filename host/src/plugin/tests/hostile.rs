//! Guests that mean harm: each is stopped, said to have failed, and leaves the plugin able to make
//! another instance.

use std::time::Instant;

use weir_wat_guests::{Guest, Kind};

use super::*;
use crate::{
    model::{Candidate, Outcome},
    plugin::{Call, CallError, CallFault},
};

/// Every hook, and how it is called.
const HOOKS: [(Kind, Place, Call); 9] = [
    (Kind::ConnectionFilter, Place::TcpFilter, Call::OnConnection),
    (Kind::RequestFilter, Place::Filter, Call::OnRequest),
    (Kind::ResponseFilter, Place::Filter, Call::OnResponse),
    (Kind::Balancer, Place::Balancer, Call::Update),
    (Kind::Balancer, Place::Balancer, Call::Pick),
    (Kind::AheadBalancer, Place::Balancer, Call::Picks),
    (Kind::FeedbackBalancer, Place::Balancer, Call::Observe),
    (Kind::Persistence, Place::Persistence, Call::Lookup),
    (Kind::Persistence, Place::Persistence, Call::Assigned),
];

fn server() -> Candidate {
    Candidate {
        name: "a".to_owned(),
        id: 1,
        weight: 1,
        limit: 0,
    }
}

fn call(instance: &mut Instance, call: Call) -> Result<(), CallError> {
    match call {
        Call::OnConnection => instance.on_connection(&[]).map(drop),
        Call::OnRequest => instance.on_request(&[]).map(drop),
        Call::OnResponse => instance.on_response(&[]).map(drop),
        Call::Update => instance.update(&[server()]),
        Call::Pick => {
            instance.update(&[server()])?;
            instance.pick(1, &[], &[], &[]).map(drop)
        }
        Call::Picks => {
            instance.update(&[server()])?;
            instance.picks(1, 2).map(drop)
        }
        Call::Observe => {
            instance.update(&[server()])?;
            instance.observe(0, Outcome::Success, 1)
        }
        Call::Lookup => instance.lookup(&[]).map(drop),
        Call::Assigned => instance.assigned("a", &[]).map(drop),
        Call::Instantiate | Call::Describe | Call::Configure => unreachable!("no hook"),
    }
}

/// Has each hook do `evil` in its second call, and checks that this call fails as `expected`, that the
/// instance is spent and that the plugin goes on with another.
fn in_every_hook(
    evil: &str,
    item: &str,
    deadline: Duration,
    expected: impl Fn(&CallFault) -> bool,
) {
    for (kind, place, hook) in HOOKS {
        let guest = Guest::new(kind).item(item).later(hook.as_str(), evil);
        let mut used = used(&guest, place);
        used.deadline = deadline;
        let plugin = used.plugin();
        let mut instance = plugin.instantiate().unwrap();
        call(&mut instance, hook).unwrap();

        let error = call(&mut instance, hook).unwrap_err();
        assert_eq!((error.call, error.plugin.as_str()), (hook, "guest"));
        assert!(expected(&error.fault), "{hook}: {error}");

        let again = call(&mut instance, hook).unwrap_err();
        assert_eq!(again.fault, CallFault::Poisoned, "{hook}");
        call(&mut plugin.instantiate().unwrap(), hook).unwrap();
    }
}

/// What a guest that answers with `bytes` from its second `on-response` on comes to.
fn answering(prepare: impl Fn(&mut Guest) -> u32) -> CallFault {
    let mut guest = Guest::new(Kind::ResponseFilter);
    let address = prepare(&mut guest);
    let guest = guest.later("on-response", &format!("(return (i32.const {address}))"));
    let mut instance = used(&guest, Place::Filter).instance();
    instance.on_response(&[]).unwrap();
    instance.on_response(&[]).unwrap_err().fault
}

/// The same for `on-request`, whose answer is a record.
fn deciding(words: &[u32]) -> CallFault {
    let mut guest = Guest::new(Kind::RequestFilter).backends(&["static"]);
    let address = guest.words(words);
    let guest = guest.later("on-request", &format!("(return (i32.const {address}))"));
    let mut instance = used(&guest, Place::Filter).instance();
    instance.on_request(&[]).unwrap();
    instance.on_request(&[]).unwrap_err().fault
}

fn is_trap(fault: &CallFault, text: &str) -> bool {
    matches!(fault, CallFault::Trap { message } if message.contains(text))
}

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    let began = Instant::now();
    in_every_hook("(loop br 0)", "", SHORT, |fault| {
        // `update` may take longer than the other hooks.
        matches!(fault, CallFault::Deadline { limit } if *limit == SHORT || *limit == SHORT * 10)
    });
    assert!(began.elapsed() > SHORT * HOOKS.len() as u32);
}

#[test]
fn endless_recursion_through_a_table_ends_at_the_deadline_or_the_stack() {
    let item = "(type $none (func)) (table 1 funcref) (elem (i32.const 0) $spin)
                (func $spin (call_indirect (type $none) (i32.const 0)))";
    in_every_hook("(call $spin)", item, PATIENT, |fault| {
        is_trap(fault, "call stack exhausted")
    });
}

#[test]
fn deep_recursion_ends_at_the_stack() {
    let item = "(func $deep (param i64 i64 i64) (result i64)
        (i64.add (local.get 0) (call $deep (local.get 1) (local.get 2) (local.get 0))))";
    let evil = "(drop (call $deep (i64.const 1) (i64.const 2) (i64.const 3)))";
    in_every_hook(evil, item, PATIENT, |fault| {
        is_trap(fault, "call stack exhausted")
    });
}

#[test]
fn a_trap_is_a_failure() {
    in_every_hook("unreachable", "", PATIENT, |fault| {
        is_trap(fault, "`unreachable` instruction executed")
    });
    in_every_hook(
        "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        "",
        PATIENT,
        |fault| is_trap(fault, "integer divide by zero"),
    );
    in_every_hook("(drop (i32.load (i32.const -4)))", "", PATIENT, |fault| {
        is_trap(fault, "out of bounds memory access")
    });
}

#[test]
fn memory_without_end_ends_at_the_limit() {
    let evil = "(loop $more
        (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1))))
        unreachable)";
    in_every_hook(evil, "", PATIENT, |fault| {
        *fault == CallFault::Memory { limit: MEMORY }
    });
}

#[test]
fn a_guest_that_copes_with_having_no_more_memory_goes_on() {
    let guest = Guest::new(Kind::RequestFilter).later(
        "on-request",
        "(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))",
    );
    let mut instance = used(&guest, Place::Filter).instance();
    for _ in 0..3 {
        instance.on_request(&[]).unwrap();
    }
}

#[test]
fn a_table_without_end_ends_at_the_limit() {
    let item = "(table $table 1 funcref) (func $nothing) (elem declare func $nothing)";
    let evil = "(loop $more
        (br_if $more (i32.ne (i32.const -1)
            (table.grow $table (ref.func $nothing) (i32.const 1000))))
        unreachable)";
    in_every_hook(evil, item, PATIENT, |fault| is_trap(fault, "unreachable"));
}

#[test]
fn memory_over_the_limit_from_the_start_is_refused() {
    let guest = Guest::new(Kind::RequestFilter).pages(100);
    match used(&guest, Place::Filter).refused() {
        LoadFault::Call { call, fault } => {
            assert_eq!(call, Call::Instantiate);
            assert_eq!(fault, CallFault::Memory { limit: MEMORY });
        }
        other => panic!("{other}"),
    }
}

/// A runtime that isn't patient with guests that never get ready.
fn impatient() -> Arc<Runtime> {
    Runtime::new(RuntimeOptions {
        max_instances: 4,
        setup_deadline: SHORT,
        ..RuntimeOptions::default()
    })
    .unwrap()
}

#[test]
fn an_endless_loop_before_the_first_call_ends_too() {
    let runtime = impatient();
    for (function, expected) in [
        ("start", Call::Instantiate),
        ("describe", Call::Describe),
        ("post-return", Call::Describe),
        ("configure", Call::Configure),
        ("realloc", Call::Configure),
        ("on-request", Call::OnRequest),
    ] {
        let guest = Guest::new(Kind::RequestFilter).with(function, "(loop br 0) unreachable");
        match used(&guest, Place::Filter).load_in(&runtime) {
            Err(LoadFault::Call { call, fault }) => {
                assert_eq!(call, expected, "{function}");
                assert_eq!(fault, CallFault::Deadline { limit: SHORT }, "{function}");
            }
            Err(other) => panic!("{function}: {other}"),
            Ok(_) => panic!("{function}: loaded"),
        }
    }
}

#[test]
fn allocating_for_a_value_is_under_the_deadline_as_well() {
    let guest = Guest::new(Kind::RequestFilter)
        .inputs("on-request", &["path"])
        // A long value is only passed by the test.
        .item("(func $spin (loop br 0))")
        .with(
            "realloc",
            "(if (i32.gt_u (local.get $size) (i32.const 5000)) (then (call $spin)))
             (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
             (global.set $heap (i32.add (local.get $at) (local.get $size)))
             (local.get $at)",
        );
    let mut used = used(&guest, Place::Filter);
    used.deadline = SHORT;
    let mut instance = used.instance();
    instance.on_request(&[Some("/short")]).unwrap();
    let error = instance.on_request(&[Some(&"x".repeat(6000))]).unwrap_err();
    assert_eq!(error.fault, CallFault::Deadline { limit: SHORT });
}

#[test]
fn memory_that_realloc_does_not_have_is_not_written_to() {
    for body in ["(i32.const -8)", "(i32.const 1)", "(i32.const 0x7fffffff)"] {
        let guest = Guest::new(Kind::RequestFilter).with("realloc", body);
        let mut used = used(&guest, Place::Filter);
        used.config = r#"{"a config": "that has to be put somewhere"}"#;
        match used.refused() {
            LoadFault::Call { fault, .. } => {
                assert!(matches!(fault, CallFault::Trap { .. }), "{fault}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_not_used() {
    let guest = Guest::new(Kind::Balancer).later(
        "pick",
        "(i32.store8 (i32.const 128) (i32.const 1))
         (i32.store (i32.const 132) (i32.const 7))
         (return (i32.const 128))",
    );
    let mut instance = used(&guest, Place::Balancer).instance();
    instance.update(&[server()]).unwrap();
    assert_eq!(instance.pick(0, &[], &[], &[]).unwrap(), Some(0));
    let error = instance.pick(1, &[], &[], &[]).unwrap_err();
    let message = "server 7, and the last update had 1".to_owned();
    assert_eq!(error.fault, CallFault::Answer { message });
    assert_eq!(instance.update(&[]).unwrap_err().fault, CallFault::Poisoned);
}

#[test]
fn verdicts_that_cannot_be_are_refused() {
    let answer = |words: &[u32]| match deciding(words) {
        CallFault::Answer { message } => message,
        other => panic!("{other}"),
    };
    let reply = |status| [2, status, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        answer(&[1, 3, 0, 0, 0, 0, 0, 0, 0, 0]),
        "backend 3, and it named 1"
    );
    assert!(answer(&[3, 99, 0, 0, 0, 0, 0, 0, 0, 0]).starts_with("status 99,"));
    for status in [0, 99, 101, 199, 600, 1000] {
        assert!(answer(&reply(status)).starts_with(&format!("status {status},")));
    }
}

#[test]
fn an_answer_with_a_status_that_cannot_be_is_refused() {
    let fault = answering(|guest| {
        let edit = guest.words(&[6, 101, 0, 0, 0]);
        guest.words(&[edit, 1])
    });
    assert!(
        matches!(&fault, CallFault::Answer { message } if message.contains("101")),
        "{fault}"
    );
}

#[test]
fn more_edits_than_anyone_needs_are_refused() {
    let fault = answering(|guest| {
        let edits = guest.words(&[0; 5 * 1_001]);
        guest.words(&[edits, 1_001])
    });
    assert!(
        matches!(&fault, CallFault::Answer { message } if message.contains("1001 edits")),
        "{fault}"
    );
}

#[test]
fn a_small_memory_cannot_be_handed_over_many_times() {
    // 800 texts that are all the same 60,000 bytes: 48 MB out of a memory of 256 KiB.
    let fault = answering(|guest| {
        let edits: Vec<u32> = (0..800).flat_map(|_| [2, 65_536, 60_000, 0, 0]).collect();
        let edits = guest.words(&edits);
        guest.words(&[edits, 800])
    });
    let limit = RUNTIME.options().max_answer;
    assert_eq!(fault, CallFault::Data { limit });
}

#[test]
fn a_list_longer_than_any_memory_is_refused() {
    for length in [0x7fff_ffff, 0xffff_ffff, 0x1000_0000] {
        let fault = answering(|guest| guest.words(&[1024, length]));
        assert!(
            matches!(fault, CallFault::Trap { .. } | CallFault::Data { .. }),
            "{fault}"
        );
    }
}

#[test]
fn a_reply_of_ten_megabytes_is_refused() {
    let mut guest = Guest::new(Kind::RequestFilter).pages(200);
    let reply = guest.words(&[2, 200, 0, 0, 1024, 10_000_000, 0, 0, 0, 0]);
    let guest = guest.later("on-request", &format!("(return (i32.const {reply}))"));
    let mut used = used(&guest, Place::Filter);
    used.memory = 64 * 1024 * 1024;
    let mut instance = used.instance();
    instance.on_request(&[]).unwrap();
    let limit = RUNTIME.options().max_answer;
    assert_eq!(
        instance.on_request(&[]).unwrap_err().fault,
        CallFault::Data { limit }
    );
}

#[test]
fn values_that_break_the_rules_of_the_border_are_refused() {
    // A text that isn't UTF-8.
    let fault = answering(|guest| {
        let text = guest.data(b"\xff\xfe");
        let edit = guest.words(&[2, text, 2, 0, 0]);
        guest.words(&[edit, 1])
    });
    assert!(is_trap(&fault, "utf-8"), "{fault}");

    // A text outside of memory, one that wraps around, a list that isn't aligned, a case that isn't.
    for edit in [
        [2, 0xffff_0000, 8, 0, 0],
        [2, 0xffff_fff0, 0xffff_fff0, 0, 0],
        [77, 0, 0, 0, 0],
    ] {
        let fault = answering(|guest| {
            let edit = guest.words(&edit);
            guest.words(&[edit, 1])
        });
        assert!(matches!(fault, CallFault::Trap { .. }), "{edit:?}: {fault}");
    }
    let fault = answering(|guest| guest.words(&[1025, 1]));
    assert!(is_trap(&fault, "aligned"), "{fault}");
    // The answer itself out of memory, and not aligned.
    for address in [0xffff_0000, 1026] {
        let fault = answering(|_| address);
        assert!(
            matches!(fault, CallFault::Trap { .. }),
            "{address}: {fault}"
        );
    }
    let fault = deciding(&[9, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(fault, CallFault::Trap { .. }), "{fault}");
}

#[test]
fn needs_that_break_the_rules_of_the_border_are_refused() {
    for words in [
        [0, 0xffff_0000, 3, 0, 0, 0, 0],
        [0, 1024, 0x7fff_ffff, 0, 0, 0, 0],
        [5, 0, 0, 0, 0, 0, 0],
    ] {
        let mut guest = Guest::new(Kind::RequestFilter);
        let needs = guest.words(&words);
        let guest = guest.with("configure", &format!("(i32.const {needs})"));
        match used(&guest, Place::Filter).refused() {
            LoadFault::Call { call, .. } => assert_eq!(call, Call::Configure),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_flood_of_log_messages_harms_nobody() {
    let flood = |guest: Guest| {
        let text = "(call $log.write (i32.const 3) (i32.const 1024) (i32.const 60000))";
        guest
            .import("log", "write", "(param i32 i32 i32)")
            .later("on-request", &format!("(loop $more {text} (br $more))"))
    };
    let mut used = used(&flood(Guest::new(Kind::RequestFilter)), Place::Filter);
    used.deadline = Duration::from_millis(200);
    let mut instance = used.instance();
    instance.on_request(&[]).unwrap();
    let fault = instance.on_request(&[]).unwrap_err().fault;
    assert!(
        matches!(
            fault,
            CallFault::Imports { .. } | CallFault::Deadline { .. }
        ),
        "{fault}"
    );
}

#[test]
fn one_instance_stuck_does_not_hold_up_another() {
    let stuck = Guest::new(Kind::RequestFilter).later("on-request", "(loop br 0)");
    let mut stuck = used(&stuck, Place::Filter);
    stuck.deadline = Duration::from_secs(1);
    let mut stuck = stuck.instance();
    stuck.on_request(&[]).unwrap();
    let thread = std::thread::spawn(move || stuck.on_request(&[]).unwrap_err().fault);

    let mut healthy = used(&Guest::new(Kind::RequestFilter), Place::Filter).instance();
    let mut calls = 0;
    while !thread.is_finished() {
        healthy.on_request(&[]).unwrap();
        calls += 1;
    }
    assert!(calls > 100, "{calls}");
    assert!(matches!(thread.join().unwrap(), CallFault::Deadline { .. }));
}
