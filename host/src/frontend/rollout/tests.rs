//! Which clients are a new version's, and how their share grows.

use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn clients() -> impl Iterator<Item = String> {
    (0..100_000_u32).map(|n| format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255))
}

fn taken(candidate: Digest, share: Share) -> Vec<String> {
    clients()
        .filter(|client| number(candidate, client) < share.of_numbers())
        .collect()
}

#[test]
fn a_share_of_clients_is_that_share_of_them() {
    for (percent, share) in [(1, 1_000), (5, 5_000), (50, 50_000)] {
        let found = taken(digest("new"), Share::percent(percent)).len();
        assert!(
            found.abs_diff(share) < share / 10,
            "{percent}% are {found} of 100000"
        );
    }
}

#[test]
fn a_greater_share_has_all_clients_of_the_smaller_one() {
    let few = taken(digest("new"), Share::percent(1));
    let more = taken(digest("new"), Share::percent(10));
    assert!(few.iter().all(|client| more.contains(client)));
}

#[test]
fn another_candidate_has_other_clients() {
    let one = taken(digest("new"), Share::percent(5));
    let other = taken(digest("newer"), Share::percent(5));
    let both = one.iter().filter(|client| other.contains(client)).count();
    assert!(both < 500, "{both} of 5000, and 250 would be chance");
}

/// A canary with these steps, begun now.
fn canary(steps: &[(u32, Option<u64>)]) -> Rollout {
    let identity = |text: &str| Identity {
        digest: digest(text),
        version: "1.0.0".to_owned(),
        config: "{}".to_owned(),
    };
    let step = |(percent, seconds): &(u32, Option<u64>)| CanaryStep {
        share: Share::percent(*percent),
        lasts: seconds.map(Duration::from_secs),
    };
    let steps: Vec<_> = steps.iter().map(step).collect();
    let terms = Terms {
        current: identity("current"),
        next: identity("new"),
        mode: NextMode::Canary,
        share: steps[0].share,
        steps,
        on: Input::ClientAddress,
        give_up: GiveUp {
            at_least: 10,
            ..GiveUp::default()
        },
        grants: Grants::default(),
        deadline: Duration::from_secs(1),
        memory: 1 << 20,
    };
    let place = PluginPlace::Balancer(crate::model::BackendName::new("api"));
    Rollout::new(place, terms)
}

fn answered(rollout: &Rollout, times: usize) {
    (0..times).for_each(|_| rollout.answered(Version::Next, Instant::now()));
}

fn after(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[test]
fn a_step_is_over_after_its_time_and_enough_answers() {
    let rollout = canary(&[(5, Some(60)), (25, Some(600)), (100, None)]);
    assert!(
        matches!(rollout.grow(after(10)), Growth::Later(wait) if wait > Duration::from_secs(45))
    );
    assert!(matches!(rollout.grow(after(61)), Growth::Later(_)));
    assert_eq!(
        rollout.share(),
        Share::percent(5),
        "nobody asked it, so nobody knows"
    );
    answered(&rollout, 10);
    assert_eq!(
        rollout.grow(after(61)),
        Growth::Later(Duration::from_secs(600))
    );
    assert_eq!(rollout.share(), Share::percent(25));
    let progress = rollout.progress().unwrap();
    assert_eq!((progress.number, progress.of, progress.answers), (2, 3, 0));
    assert!(matches!(rollout.grow(after(700)), Growth::Later(_)));
    assert_eq!(
        rollout.share(),
        Share::percent(25),
        "answers of the step before count no more"
    );
    answered(&rollout, 10);
    assert_eq!(
        rollout.grow(after(700)),
        Growth::Over,
        "the last step stays"
    );
    assert_eq!(rollout.share(), Share::ALL);
}

#[test]
fn what_was_given_up_or_stopped_does_not_grow() {
    let rollout = canary(&[(5, Some(60)), (100, None)]);
    answered(&rollout, 100);
    rollout.stop();
    assert!(matches!(rollout.grow(after(100)), Growth::Later(_)));
    assert_eq!(
        (rollout.share(), rollout.is_off()),
        (Share::percent(5), true)
    );
    rollout.resume();
    assert!(
        matches!(rollout.grow(after(50)), Growth::Later(_)),
        "its step begins anew"
    );
    answered(&rollout, 10);
    (0..50).for_each(|_| rollout.next_failed(Cause::Trap));
    assert!(matches!(rollout.standing(), Standing::GivenUp(_)));
    rollout.grow(after(100));
    assert!(rollout.is_off());
}

#[test]
fn a_share_that_an_operator_set_grows_no_more() {
    let rollout = canary(&[(5, Some(60)), (100, None)]);
    answered(&rollout, 100);
    rollout.set_share(Share::percent(7));
    assert_eq!(rollout.grow(after(100)), Growth::Over);
    assert_eq!(
        (rollout.share(), rollout.progress()),
        (Share::percent(7), None)
    );
}

#[test]
fn another_current_version_begins_the_step_anew_and_not_the_try() {
    let rollout = canary(&[(5, Some(60)), (25, Some(60)), (100, None)]);
    answered(&rollout, 10);
    rollout.grow(after(61));
    let again = rollout.beside_another(rollout.terms().clone());
    assert_eq!(again.share(), Share::percent(25));
    assert_eq!(again.progress().unwrap().number, 2);
    assert!(
        matches!(again.grow(after(61)), Growth::Later(_)),
        "its answers are counted anew"
    );
    assert_eq!(again.share(), Share::percent(25));
}
