//! Whatever Weir takes for a request, hyper takes for the same one: in the client's own bytes and in those
//! that a server would be sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::{second_reader, stream};

fuzz_target!(|input: &[u8]| {
    let (ours, ending) = stream::requests(input);
    let theirs = second_reader::requests(input);
    for (one, other) in ours.iter().zip(&theirs) {
        agree(one, other);
    }
    // Where Weir has found nothing to refuse, nobody may find a request more.
    if ending != stream::Ending::Refused {
        assert!(
            theirs.len() <= ours.len(),
            "{theirs:?}\nare more than\n{ours:?}"
        );
    }
    for one in ours.iter().filter(|one| one.body.is_some()) {
        let seen = second_reader::requests(&one.sent);
        assert!(
            seen.len() <= 1,
            "{:?} became {seen:?}",
            one.sent.escape_ascii().to_string()
        );
        if let [other] = &seen[..] {
            agree(one, other);
        }
    }
});

fn agree(one: &stream::Message, other: &second_reader::Message) {
    assert_eq!(one.what, other.what);
    // hyper has no server-wide OPTIONS in absolute form.
    if one.path != "*" {
        assert_eq!((&one.path, &one.query), (&other.path, &other.query));
    }
    if let (Some(ours), Some(theirs)) = (&one.body, &other.body) {
        assert_eq!(ours, theirs);
    }
}
