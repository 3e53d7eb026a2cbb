//! A chunked body is the same however it is cut, and the same to a decoder that knows nothing of cuts.
//! The first byte says how it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::http::{
    body::{BadBody, BodyEvent, BodyReader},
    framing::Framing,
};

/// The data, and what it took of the input if the body is over.
type Body = (Vec<u8>, Option<usize>);

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else {
        return;
    };
    let whole = decode(input, usize::MAX / 2);
    assert_eq!(decode(input, usize::from(cut) + 1), whole);
    assert_eq!(decode(input, 1), whole);

    let simple = decode_simply(input);
    match (&whole, &simple) {
        (Ok((data, Some(used))), Some((other, other_used))) => {
            assert_eq!((data, used), (other, other_used));
        }
        (Ok((_, Some(_))), None) => panic!("only Weir takes this for a body"),
        (Ok((_, None)), Some(_)) => panic!("Weir waits for more of a body that is over"),
        // Weir may refuse more: trailers, long extensions.
        (Err(_) | Ok((_, None)), _) => {}
    }
});

fn decode(input: &[u8], step: usize) -> Result<Body, BadBody> {
    let mut reader = BodyReader::new(Framing::Chunked, None)?;
    let (mut data, mut at) = (Vec::new(), 0_usize);
    loop {
        let piece = &input[at..input.len().min(at.saturating_add(step))];
        match reader.next(piece)? {
            BodyEvent::Data(range) => {
                data.extend_from_slice(&piece[range.clone()]);
                at += range.end;
            }
            BodyEvent::NeedMore if piece.is_empty() => return Ok((data, None)),
            BodyEvent::NeedMore => at += piece.len(),
            BodyEvent::End(used) => return Ok((data, Some(at + used))),
        }
    }
}

/// Line by line over the whole input, with no state but a position.
fn decode_simply(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let line = line(input, &mut at)?;
        let text = std::str::from_utf8(line.split(|&b| b == b';').next()?).ok()?;
        let digits = text.trim_matches([' ', '\t']);
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::from_str_radix(digits, 16).ok()?;
        if size == 0 {
            break;
        }
        data.extend_from_slice(input.get(at..at.checked_add(size)?)?);
        at += size;
        if input.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    while !line(input, &mut at)?.is_empty() {}
    Some((data, at))
}

fn line<'a>(input: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = input.get(*at..)?;
    let len = rest.windows(2).position(|pair| pair == b"\r\n")?;
    *at += len + 2;
    (!rest[..len].contains(&b'\n')).then_some(&rest[..len])
}
