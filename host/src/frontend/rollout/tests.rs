//! Which clients are a new version's.

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
