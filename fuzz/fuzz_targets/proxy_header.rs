//! A header takes no more than was there and is understood the same when it is written out and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::net::proxy_protocol::{Checked, Said, read_header, write_v2};

fuzz_target!(|input: &[u8]| {
    let read = read_header(input);
    for end in 0..input.len().min(600) {
        match read_header(&input[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, read, "after {end} bytes"),
        }
    }
    let Ok(Some(header)) = read else {
        return;
    };
    assert!(header.length <= input.len());
    let Said::Proxied { ends, tlvs } = header.said else {
        return;
    };
    // Additions that are not known here are not passed on, so what is written may only be shorter.
    let mut out = Vec::new();
    write_v2(&mut out, Some((Some(&ends), &tlvs)), Checked::Yes);
    let again = read_header(&out).expect("what we write is a header");
    let again = again.expect("and whole");
    let Said::Proxied { ends: there, .. } = again.said else {
        panic!("a client was named");
    };
    assert_eq!(there.source.port(), ends.source.port());
    assert_eq!(
        there.source.ip().to_canonical(),
        ends.source.ip().to_canonical()
    );
});
