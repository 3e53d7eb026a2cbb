//! What goes into a plugin and what comes out of it.

use weir_wat_guests::{Guest, Kind};

use super::*;
use crate::{
    model::{Candidate, Edit, Header, Hook, Input, Outcome, Reply, Verdict},
    plugin::{Call, CallFault, Role},
};

fn candidate(name: &str, id: u32) -> Candidate {
    Candidate {
        name: name.to_owned(),
        id,
        weight: 1,
        limit: 0,
    }
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn a_plugin_that_does_nothing_passes_everything() {
    let mut filter = used(&Guest::new(Kind::Filter), Place::Filter).instance();
    let decision = filter.on_request(&[]).unwrap();
    assert_eq!(decision.verdict, Verdict::Pass);
    assert!(decision.edits.is_empty() && decision.response_edits.is_empty());
    assert_eq!(filter.on_response(&[]).unwrap(), []);

    let mut persistence = used(&Guest::new(Kind::Persistence), Place::Persistence).instance();
    assert_eq!(persistence.lookup(&[]).unwrap().server, None);
    assert_eq!(persistence.assigned("a", &[]).unwrap(), []);
}

#[test]
fn what_a_plugin_says_of_itself_and_asks_for_is_known_once_it_is_loaded() {
    let guest = Guest::new(Kind::Filter)
        .inputs("on-request", &["path", "header(X-Api)"])
        .inputs("on-response", &["status"])
        .backends(&["dynamic"]);
    let plugin = used(&guest, Place::Filter).plugin();
    assert_eq!(plugin.info().name, "guest");
    assert_eq!(plugin.roles(), [Role::RequestFilter, Role::ResponseFilter]);
    let inputs = [Input::Path, Input::Header("x-api".to_owned())];
    assert_eq!(plugin.inputs(Hook::OnRequest), inputs);
    assert_eq!(plugin.inputs(Hook::OnResponse), [Input::Status]);
    assert_eq!(plugin.inputs(Hook::Pick), []);
    assert_eq!(plugin.backends(), [BackendName::new("dynamic")]);
    assert!(!plugin.wants_loads() && !plugin.has_feedback());
}

#[test]
fn a_value_reaches_the_plugin_and_an_edit_comes_back() {
    // Removes the header whose name it is given: list of one edit, case 2, the value's own text.
    let guest = Guest::new(Kind::ResponseFilter)
        .inputs("on-response", &["header(x)", "status"])
        .with(
            "on-response",
            "(if (i32.eqz (i32.load8_u (local.get $values))) (then (return (i32.const 16))))
             (i32.store (i32.const 128) (i32.const 136))
             (i32.store (i32.const 132) (i32.const 1))
             (i32.store (i32.const 136) (i32.const 2))
             (i32.store (i32.const 140) (i32.load offset=4 (local.get $values)))
             (i32.store (i32.const 144) (i32.load offset=8 (local.get $values)))
             (i32.const 128)",
        );
    let mut filter = used(&guest, Place::Filter).instance();
    for _ in 0..3 {
        let edits = filter.on_response(&[Some("x-\u{e4}"), None]).unwrap();
        assert_eq!(edits, [Edit::RemoveHeader("x-\u{e4}".to_owned())]);
        assert_eq!(filter.on_response(&[None, Some("200")]).unwrap(), []);
    }
}

#[test]
fn a_reply_comes_back_whole() {
    let mut guest = Guest::new(Kind::RequestFilter);
    let name = guest.text("retry-after");
    let value = guest.text("3");
    let body = guest.text("later");
    let headers = guest.words(&[name.0, name.1, value.0, value.1]);
    let var = guest.words(&[9, name.0, name.1, value.0, value.1]);
    let decision = guest.words(&[2, 429, headers, 1, body.0, body.1, var, 1, 0, 0]);
    let guest = guest.with("on-request", &format!("(i32.const {decision})"));

    let decision = used(&guest, Place::Filter)
        .instance()
        .on_request(&[])
        .unwrap();

    let reply = Reply {
        status: 429,
        headers: vec![header("retry-after", "3")],
        body: b"later".to_vec(),
    };
    assert_eq!(decision.verdict, Verdict::Reply(reply));
    assert_eq!(decision.edits, [Edit::SetVar(header("retry-after", "3"))]);
}

#[test]
fn a_balancer_sees_servers_loads_and_what_was_tried() {
    // Picks the server whose position is: id of the first + its load + number tried + turn.
    let guest = Guest::new(Kind::Balancer)
        .features(&["loads"])
        .item("(global $first (mut i32) (i32.const 0))")
        .with(
            "update",
            "(global.set $first (i32.load offset=8 (local.get $servers)))",
        )
        .with(
            "pick",
            "(i32.store8 (i32.const 128) (i32.const 1))
             (i32.store (i32.const 132) (i32.add
                 (i32.add (global.get $first) (i32.load (local.get $loads)))
                 (i32.add (local.get $tried_count) (i32.wrap_i64 (local.get $turn)))))
             (i32.const 128)",
        );
    let plugin = used(&guest, Place::Balancer).plugin();
    assert!(plugin.wants_loads());
    let mut balancer = plugin.instantiate().unwrap();
    let servers: Vec<Candidate> = (0..20).map(|_| candidate("s", 5)).collect();
    balancer.update(&servers).unwrap();
    let picked = balancer.pick(2, &[], &[3; 20], &[0]).unwrap();
    assert_eq!(picked, Some(5 + 3 + 1 + 2));
}

#[test]
fn a_balancer_is_given_none_in_place_of_empty_lists() {
    // Picks 1 if there are values, plus 2 if there are loads, plus 4 if there are tried servers.
    let guest = Guest::new(Kind::Balancer).with(
        "pick",
        "(i32.store8 (i32.const 128) (i32.const 1))
         (i32.store (i32.const 132) (i32.add
             (local.get $has_values)
             (i32.add
                 (i32.mul (local.get $has_loads) (i32.const 2))
                 (i32.mul (local.get $has_tried) (i32.const 4)))))
         (i32.const 128)",
    );
    let mut balancer = used(&guest, Place::Balancer).instance();
    let servers: Vec<Candidate> = (0..8).map(|_| candidate("s", 5)).collect();
    balancer.update(&servers).unwrap();
    let mut pick = |values, loads, tried| balancer.pick(0, values, loads, tried).unwrap();
    assert_eq!(pick(&[], &[], &[]), Some(0));
    assert_eq!(pick(&[None], &[], &[]), Some(1));
    assert_eq!(pick(&[], &[0; 8], &[]), Some(2));
    assert_eq!(pick(&[], &[], &[0]), Some(4));
    assert_eq!(pick(&[Some("v")], &[0; 8], &[0]), Some(7));
}

#[test]
fn a_balancer_may_pick_nobody() {
    let guest = Guest::new(Kind::Balancer).with("pick", "(i32.const 16)");
    let mut balancer = used(&guest, Place::Balancer).instance();
    balancer.update(&[]).unwrap();
    assert_eq!(balancer.pick(0, &[], &[], &[]).unwrap(), None);
}

/// Answers `picks` with a list of this length, in which every other turn has server `first + turn`.
fn ahead(length: &str) -> Guest {
    Guest::new(Kind::AheadBalancer)
        .item("(global $turn (mut i32) (i32.const 0))")
        .with(
            "picks",
            &format!(
                "(global.set $turn (i32.const 0))
                 (loop $next
                     (i32.store8
                         (i32.add (i32.const 1024) (i32.mul (global.get $turn) (i32.const 8)))
                         (i32.and (global.get $turn) (i32.const 1)))
                     (i32.store
                         (i32.add (i32.const 1028) (i32.mul (global.get $turn) (i32.const 8)))
                         (i32.add (i32.wrap_i64 (local.get $first)) (global.get $turn)))
                     (global.set $turn (i32.add (global.get $turn) (i32.const 1)))
                     (br_if $next (i32.lt_u (global.get $turn) (local.get $turns))))
                 (i32.store (i32.const 128) (i32.const 1024))
                 (i32.store (i32.const 132) {length})
                 (i32.const 128)"
            ),
        )
}

#[test]
fn a_balancer_that_goes_by_the_turn_is_asked_for_many_at_once() {
    let plugin = used(&ahead("(local.get $turns)"), Place::Balancer).plugin();
    assert!(plugin.picks_ahead());
    let mut balancer = plugin.instantiate().unwrap();
    let servers: Vec<Candidate> = (0..9).map(|_| candidate("s", 5)).collect();
    balancer.update(&servers).unwrap();
    assert_eq!(
        balancer.picks(5, 4).unwrap(),
        [None, Some(6), None, Some(8)]
    );
    let beyond = balancer.picks(5, 6).unwrap_err();
    assert_eq!(
        beyond.to_string(),
        "plugin `guest`: picks: it gave an answer that can't be: server 10, and the last update had 9"
    );
}

#[test]
fn as_many_picks_are_wanted_as_were_asked_for() {
    let guest = ahead("(i32.sub (local.get $turns) (i32.const 1))");
    let Err(error) = used(&guest, Place::Balancer).load() else {
        panic!("the trial call gives no pick");
    };
    assert!(
        error
            .to_string()
            .contains("0 picks, and it was asked for 1"),
        "{error}"
    );
}

#[test]
fn a_balancer_that_needs_more_than_the_turn_is_not_asked_ahead() {
    for guest in [
        ahead("(local.get $turns)").features(&["loads"]),
        ahead("(local.get $turns)").inputs("pick", &["path"]),
    ] {
        assert!(!used(&guest, Place::Balancer).plugin().picks_ahead());
    }
}

#[test]
fn a_balancer_that_learns_is_told_how_it_went() {
    // Picks what it was last told: index + outcome.
    let guest = Guest::new(Kind::FeedbackBalancer)
        .with(
            "observe",
            "(i32.store (i32.const 132) (i32.add (local.get $index) (local.get $outcome)))",
        )
        .with(
            "pick",
            "(i32.store8 (i32.const 128) (i32.const 1)) (i32.const 128)",
        );
    let plugin = used(&guest, Place::Balancer).plugin();
    assert!(plugin.has_feedback());
    let mut balancer = plugin.instantiate().unwrap();
    balancer
        .update(&[candidate("a", 1), candidate("b", 2), candidate("c", 3)])
        .unwrap();
    balancer.observe(1, Outcome::ConnectFailed, 10).unwrap();
    assert_eq!(balancer.pick(0, &[], &[], &[]).unwrap(), Some(2));
    balancer.observe(7, Outcome::Success, 10).unwrap();
    assert_eq!(
        balancer.pick(0, &[], &[], &[]).unwrap(),
        Some(2),
        "it has no server 7"
    );
}

#[test]
fn persistence_is_told_which_server_was_used() {
    let guest = Guest::new(Kind::Persistence)
        .features(&["always-assigned"])
        .with(
            "assigned",
            "(i32.store (i32.const 128) (i32.const 136))
         (i32.store (i32.const 132) (i32.const 1))
         (i32.store (i32.const 136) (i32.const 2))
         (i32.store (i32.const 140) (local.get $server))
         (i32.store (i32.const 144) (local.get $server_length))
         (i32.const 128)",
        );
    let plugin = used(&guest, Place::Persistence).plugin();
    assert!(plugin.always_assigned());
    let edits = plugin
        .instantiate()
        .unwrap()
        .assigned("web-a", &[])
        .unwrap();
    assert_eq!(edits, [Edit::RemoveHeader("web-a".to_owned())]);
}

#[test]
fn a_call_that_belongs_to_another_role_fails_cleanly() {
    let mut filter = used(&Guest::new(Kind::RequestFilter), Place::Filter).instance();
    let error = filter.pick(0, &[], &[], &[]).unwrap_err();
    assert_eq!(error.call, Call::Pick);
    assert!(matches!(error.fault, CallFault::Trap { .. }));
}

#[test]
fn an_instance_can_move_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<Instance>();
    let mut filter = used(&Guest::new(Kind::RequestFilter), Place::Filter).instance();
    let moved = std::thread::spawn(move || filter.on_request(&[]).map(|decision| decision.verdict));
    assert_eq!(moved.join().unwrap().unwrap(), Verdict::Pass);
}
