//! Random messages: what is sent is read back as the same, cuts don't matter, and nothing panics. The numbers
//! are the same in every run.

use super::super::{
    chunk::{write_chunk, write_last_chunk},
    facts::normalised_path,
};
use super::*;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    fn text(&mut self, longest: usize, from: &[u8]) -> String {
        let len = self.below(longest + 1);
        (0..len)
            .map(|_| char::from(from[self.below(from.len())]))
            .collect()
    }
}

/// Parts of requests, sound and unsound, that meet at random.
const PARTS: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    " ",
    "/",
    "/a?b",
    "*",
    "http://a/b",
    " HTTP/1.1",
    " HTTP/1.0",
    "\r\n",
    "\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "Host: a",
    "Host:b",
    "Host",
    ":",
    "Content-Length: 5",
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "Connection: keep-alive, x",
    "Upgrade: websocket",
    "Expect: 100-continue",
    "X: y",
    "\t",
    "\0",
    "é",
    "TE: trailers",
    "_",
    ",",
    "5",
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 ",
    "X: ",
];

#[test]
fn any_mix_of_parts_is_read_the_same_however_it_is_cut() {
    let mut dice = Dice(1);
    let mut whole = 0;
    for _ in 0..30_000 {
        let start = dice.of(&[
            "",
            "",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "POST /x HTTP/1.0\r\n",
        ]);
        let count = dice.below(8);
        let parts: Vec<&str> = (0..count).map(|_| dice.of(PARTS)).collect();
        let input = format!("{start}{}{}", parts.concat(), dice.of(&["", "\r\n\r\n"]));
        if let Ok(Some(request)) = read(input.as_bytes()) {
            whole += 1;
            if request.authority.is_none() {
                continue;
            }
            let mut again = accepted(&request.sent);
            assert_eq!(again.sent, request.sent, "{input:?}");
            // What was read from the client's own words must hold for the server as well.
            again.len = request.len;
            assert_eq!(
                (again.method, again.path, again.query),
                (request.method, request.path, request.query)
            );
            assert_eq!(
                (again.framing, again.authority),
                (request.framing, request.authority)
            );
        }
    }
    assert!(whole > 1000, "only {whole} of the inputs were requests");
}

#[test]
fn any_mix_of_parts_of_a_response_is_read_the_same_however_it_is_cut() {
    let mut dice = Dice(2);
    let mut whole = 0;
    for _ in 0..30_000 {
        let start = dice.of(&[
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.0 404 \r\n",
            "HTTP/1.1 304 X\r\n",
        ]);
        let count = dice.below(8);
        let parts: Vec<&str> = (0..count).map(|_| dice.of(PARTS)).collect();
        let input = format!("{start}{}{}", parts.concat(), dice.of(&["", "\r\n\r\n"]));
        for asked in [Asked::Head, Asked::Other] {
            if let Ok(Some(response)) = read_answer(input.as_bytes(), asked) {
                whole += 1;
                let again = accepted_answer(&response.sent, asked);
                assert_eq!(again.sent, response.sent, "{input:?}");
                assert_eq!(
                    (again.status, again.framing),
                    (response.status, response.framing)
                );
            }
        }
    }
    assert!(whole > 1000, "only {whole} of the inputs were responses");
}

#[test]
fn a_sound_request_is_read_as_it_was_meant() {
    const TOKEN: &[u8] = b"abcXYZ019!#$%&'*+-.^`|~";
    const TARGET: &[u8] = b"abcXYZ019/.%;=:@!$&'()*+,-_~";
    const VALUE: &[u8] = b"abcXYZ019 \t,;:=\"/(){}[]<>?@\\";
    let mut dice = Dice(3);
    for _ in 0..3_000 {
        let path = format!("/{}", dice.text(30, TARGET));
        let query = (dice.below(2) == 0).then(|| dice.text(20, TARGET));
        let target = match &query {
            Some(query) => format!("{path}?{query}"),
            None => path.clone(),
        };
        let mut fields = vec![("Host".to_owned(), "a.example".to_owned())];
        for _ in 0..dice.below(10) {
            let name = format!("x{}", dice.text(20, TOKEN));
            fields.push((name, dice.text(40, VALUE).trim().to_owned()));
        }
        let mut input = format!("GET {target} HTTP/1.1\r\n");
        for (name, value) in &fields {
            let blanks = dice.of(&["", " ", "\t", "  "]);
            input.push_str(&format!("{name}:{blanks}{value}{blanks}\r\n"));
        }
        input.push_str("\r\n");
        let request = accepted(&input);
        assert_eq!((&request.path, &request.query), (&path, &query));
        let read: Vec<_> = request
            .fields
            .iter()
            .map(|(n, v)| (n.clone(), String::from_utf8_lossy(v).into_owned()))
            .collect();
        assert_eq!(read, fields);
        assert_eq!(request.sent, input.as_bytes());
    }
}

#[test]
fn random_bytes_are_never_a_panic() {
    let mut dice = Dice(4);
    for _ in 0..20_000 {
        let len = dice.below(64);
        let bytes: Vec<u8> = (0..len).map(|_| dice.next() as u8).collect();
        let _ = read(&bytes);
        let _ = read_answer(&bytes, Asked::Other);
        let _ = read_body(&bytes, Framing::Chunked, Some(16));
    }
}

#[test]
fn random_chunks_are_read_back_and_broken_ones_cut_alike() {
    let mut dice = Dice(5);
    for _ in 0..3_000 {
        let mut wire = Vec::new();
        let mut data = Vec::new();
        for _ in 0..dice.below(6) {
            let chunk = dice.text(40, b"ab\r\n0;");
            write_chunk(&mut wire, chunk.as_bytes());
            data.extend_from_slice(chunk.as_bytes());
        }
        write_last_chunk(&mut wire, None);
        let body = read_body(&wire, Framing::Chunked, None).expect("a sound body");
        assert_eq!((body.data, body.used), (data, Some(wire.len())));

        let at = dice.below(wire.len());
        wire[at] = dice.of(&[b"\r", b"\n", b";", b"f", b" ", b"\0"])[0];
        let _ = read_body(&wire, Framing::Chunked, None);
    }
}

#[test]
fn a_normalised_path_stays_within_the_root_and_is_its_own_normal_form() {
    let mut dice = Dice(6);
    for _ in 0..30_000 {
        let count = dice.below(10);
        let parts = [
            "/", "/", ".", "..", "%2e", "%2F", "%", "%25", "2e", "a", "%61", "%c3", "//", "*", ";",
        ];
        let raw: String = (0..count).map(|_| dice.of(&parts)).collect();
        let raw = format!("/{raw}");
        let normal = normalised_path(&raw);
        assert!(normal.starts_with('/'), "{raw}");
        assert!(!normal.contains("//"), "{raw}");
        assert!(
            !normal.split('/').any(|s| s == "." || s == ".."),
            "{raw} → {normal}"
        );
        assert_eq!(normalised_path(&normal), normal, "{raw}");
    }
}
