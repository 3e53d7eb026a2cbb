//! Whatever Weir takes for a response, hyper takes for the same one: in the server's own bytes and in those
//! that a client would be sent. The first byte says whether the request was HEAD.

#![no_main]

use hyper::Method;
use libfuzzer_sys::fuzz_target;
use weir_fuzz::{http::response::Asked, second_reader, stream};

fuzz_target!(|input: &[u8]| {
    let Some((first, input)) = input.split_first() else {
        return;
    };
    let (asked, method) = match first & 1 {
        0 => (Asked::Other, Method::GET),
        _ => (Asked::Head, Method::HEAD),
    };
    let Some(ours) = stream::response(input, asked) else {
        return;
    };
    // What follows a change of protocol is not a message.
    if ours.what == "101" {
        return;
    }
    for bytes in [input, &ours.sent] {
        let Some(theirs) = second_reader::response(bytes, method.clone()) else {
            continue;
        };
        assert_eq!(ours.what, theirs.what);
        if let (Some(ours), Some(theirs)) = (&ours.body, &theirs.body) {
            assert_eq!(ours, theirs);
        }
    }
});
