//! Calls on threads of their own.

use weir_wat_guests::{Guest, Kind};

use super::*;
use crate::{
    config,
    plugin::{Call, CallFault, Offload},
};

const ONE: config::Offload = config::Offload {
    threads: 1,
    queue: 4,
};

fn offloaded(guest: &Guest, deadline: Duration, sizes: config::Offload) -> Arc<Offload> {
    let mut used = used(guest, Place::Filter);
    used.deadline = deadline;
    Offload::start(used.plugin(), sizes).unwrap()
}

async fn ask(offload: &Offload) -> Result<(), CallFault> {
    let ask = |instance: &mut Instance| instance.on_request(&[]).map(drop);
    let answer = offload.call(Call::OnRequest, ask).await;
    answer.map_err(|error| error.fault)
}

#[tokio::test]
async fn a_call_is_answered_by_an_instance_that_is_replaced_when_it_fails() {
    let guest = Guest::new(Kind::RequestFilter).later("on-request", "unreachable");
    let offload = offloaded(&guest, PATIENT, ONE);
    for _ in 0..3 {
        assert_eq!(ask(&offload).await, Ok(()));
        assert!(matches!(ask(&offload).await, Err(CallFault::Trap { .. })));
    }
}

#[tokio::test]
async fn an_endless_call_holds_up_the_next_no_longer_than_its_deadline() {
    let limit = Duration::from_millis(100);
    let guest = Guest::new(Kind::RequestFilter).later("on-request", "(loop br 0)");
    let offload = offloaded(&guest, limit, ONE);
    assert_eq!(ask(&offload).await, Ok(()));
    let (first, second) = tokio::join!(ask(&offload), ask(&offload));
    assert_eq!(first, Err(CallFault::Deadline { limit }));
    // It had no time left when its turn came, or next to none.
    let second = second.unwrap_err();
    assert_eq!(second, CallFault::Waited { limit });
}

#[tokio::test]
async fn more_calls_than_may_wait_are_turned_away_at_once() {
    let guest = Guest::new(Kind::RequestFilter).later("on-request", "(loop br 0)");
    let sizes = config::Offload {
        threads: 1,
        queue: 1,
    };
    let offload = offloaded(&guest, Duration::from_millis(300), sizes);
    assert_eq!(ask(&offload).await, Ok(()));
    let calls = [ask(&offload), ask(&offload), ask(&offload), ask(&offload)];
    let [a, b, c, d] = calls;
    let faults = tokio::join!(a, b, c, d);
    let faults = [faults.0, faults.1, faults.2, faults.3].map(Result::unwrap_err);
    let turned_away = |fault: &&CallFault| **fault == CallFault::QueueFull { limit: 1 };
    let count = faults.iter().filter(turned_away).count();
    assert!((2..=3).contains(&count), "{faults:?}");
    assert!(!faults[3].is_the_plugins());
}

#[tokio::test]
async fn the_threads_end_with_the_last_user() {
    let plugin = used(&Guest::new(Kind::RequestFilter), Place::Filter).plugin();
    let offload = Offload::start(Arc::clone(&plugin), ONE).unwrap();
    assert_eq!(ask(&offload).await, Ok(()));
    drop(offload);
    let began = std::time::Instant::now();
    while Arc::strong_count(&plugin) > 1 {
        assert!(began.elapsed() < PATIENT, "a thread goes on");
        tokio::task::yield_now().await;
    }
}
