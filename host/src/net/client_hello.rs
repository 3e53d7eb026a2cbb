//! What a TLS ClientHello says about where the client wants to go. Bytes in, facts out: no socket, no clock,
//! no cryptography. Whoever terminates TLS parses the hello again by itself.

use std::borrow::Cow;

/// The most handshake bytes that are looked at; larger hellos are none.
const MOST_HANDSHAKE: usize = 16 * 1024;
/// The most records that a hello may be spread over.
const MOST_RECORDS: usize = 32;
const RECORD_HEADER: usize = 5;
/// No hello that is understood takes more bytes than this.
pub const MOST_BYTES: usize = MOST_HANDSHAKE + MOST_RECORDS * RECORD_HEADER;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// The parts of a ClientHello that decisions go by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// In lower case; `None` if the client named no host.
    pub server_name: Option<String>,
    /// What ALPN offers, in the client's order. Names that are not printable ASCII are left out.
    pub protocols: Vec<String>,
}

/// Why bytes are no ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoHello {
    #[error("no TLS handshake")]
    OtherProtocol,
    #[error(
        "a TLS hello that is larger than {MOST_HANDSHAKE} bytes or in more than {MOST_RECORDS} records"
    )]
    TooLarge,
    #[error("a TLS hello that breaks the rules")]
    Malformed,
}

/// Reads the hello at the beginning of `bytes`, which may be in several records; `None` if more bytes are
/// needed to tell. Give all bytes from the beginning each time.
///
/// # Errors
/// As soon as the bytes cannot become a hello.
pub fn read_client_hello(bytes: &[u8]) -> Result<Option<ClientHello>, NoHello> {
    let (handshake, whole) = handshake_bytes(bytes)?;
    let mut input = Input(&handshake);
    let Some(header) = input.take(4) else {
        return if whole {
            Err(NoHello::Malformed)
        } else {
            Ok(None)
        };
    };
    match input.take(announced(header)) {
        Some(body) => parse(body).ok_or(NoHello::Malformed).map(Some),
        None if whole => Err(NoHello::Malformed),
        None => Ok(None),
    }
}

/// The payload of the handshake records at the beginning; and whether something else follows them, so that
/// there will not be more.
fn handshake_bytes(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, bool), NoHello> {
    let mut handshake: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut rest = bytes;
    for records in 0.. {
        // What is already there of a record's header must be right, be it one byte.
        if rest.first().is_some_and(|kind| *kind != HANDSHAKE) {
            return match records {
                0 => Err(NoHello::OtherProtocol),
                _ => Ok((handshake, true)),
            };
        }
        if rest.get(1).is_some_and(|major| *major != 3) {
            return Err(NoHello::OtherProtocol);
        }
        let Some((header, payload)) = rest.split_at_checked(RECORD_HEADER) else {
            break;
        };
        if records == MOST_RECORDS {
            return Err(NoHello::TooLarge);
        }
        let length = usize::from(header[3]) << 8 | usize::from(header[4]);
        if length == 0 || length > MOST_HANDSHAKE {
            return Err(NoHello::Malformed);
        }
        let here = payload.len().min(length);
        match records {
            0 => handshake = Cow::Borrowed(&payload[..here]),
            _ => handshake.to_mut().extend_from_slice(&payload[..here]),
        }
        check_start(&handshake)?;
        // What follows the hello is not looked at.
        if is_complete(&handshake) || here < length {
            break;
        }
        if handshake.len() > MOST_HANDSHAKE {
            return Err(NoHello::TooLarge);
        }
        rest = &payload[here..];
    }
    Ok((handshake, false))
}

/// Refuses what cannot become a hello, before records behind it are looked at: the first thing that is wrong
/// decides, however the bytes come.
fn check_start(handshake: &[u8]) -> Result<(), NoHello> {
    match handshake.split_at_checked(4) {
        Some((header, _)) if header[0] != CLIENT_HELLO => Err(NoHello::OtherProtocol),
        Some((header, _)) if announced(header) + header.len() > MOST_HANDSHAKE => {
            Err(NoHello::TooLarge)
        }
        Some(_) | None => Ok(()),
    }
}

/// The length that a handshake message's header states.
fn announced(header: &[u8]) -> usize {
    usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3])
}

fn is_complete(handshake: &[u8]) -> bool {
    handshake
        .split_at_checked(4)
        .is_some_and(|(header, body)| body.len() >= announced(header))
}

fn parse(body: &[u8]) -> Option<ClientHello> {
    let mut input = Input(body);
    input.take(2 + 32)?;
    let session = input.short_list()?;
    let ciphers = input.list()?;
    let compressions = input.short_list()?;
    let sound = session.len() <= 32
        && !ciphers.is_empty()
        && ciphers.len().is_multiple_of(2)
        && !compressions.is_empty();
    if !sound {
        return None;
    }
    let mut hello = ClientHello::default();
    if input.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Input(input.list()?);
    if !input.0.is_empty() {
        return None;
    }
    let mut seen = [false; 2];
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let content = extensions.list()?;
        let slot = match kind {
            SERVER_NAME => 0,
            ALPN => 1,
            _ => continue,
        };
        // Two of them could be understood in two ways.
        if std::mem::replace(&mut seen[slot], true) {
            return None;
        }
        match slot {
            0 => hello.server_name = Some(server_name(content)?),
            _ => hello.protocols = protocols(content)?,
        }
    }
    Some(hello)
}

/// RFC 6066 §3: a list that has one host name.
fn server_name(content: &[u8]) -> Option<String> {
    let mut input = Input(content);
    let mut names = Input(input.list()?);
    let kind = names.take(1)?[0];
    let name = names.list()?;
    let sound = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let one = kind == 0 && names.0.is_empty() && input.0.is_empty();
    if !one || !(1..=255).contains(&name.len()) || !name.iter().all(sound) {
        return None;
    }
    let text = str::from_utf8(name).ok()?;
    // A name is the same with the root's dot.
    let text = text.strip_suffix('.').filter(|text| !text.is_empty());
    let text = text.unwrap_or(str::from_utf8(name).ok()?);
    Some(text.to_ascii_lowercase())
}

/// RFC 7301 §3.1.
fn protocols(content: &[u8]) -> Option<Vec<String>> {
    let mut input = Input(content);
    let mut names = Input(input.list()?);
    if names.0.is_empty() || !input.0.is_empty() {
        return None;
    }
    let mut protocols = Vec::new();
    while !names.0.is_empty() {
        let name = names.short_list()?;
        if name.is_empty() {
            return None;
        }
        let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
        if name.iter().all(plain) {
            protocols.extend(str::from_utf8(name).map(str::to_owned));
        }
    }
    Some(protocols)
}

/// What is left to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes after their count in two bytes.
    fn list(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(usize::from(count))
    }

    /// Bytes after their count in one byte.
    fn short_list(&mut self) -> Option<&'a [u8]> {
        let count = self.take(1)?[0];
        self.take(usize::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &counted(content)].concat()
    }

    fn name(host: &str) -> Vec<u8> {
        let entry = [&[0][..], &counted(host.as_bytes())].concat();
        extension(SERVER_NAME, &counted(&entry))
    }

    fn offers(protocols: &[&str]) -> Vec<u8> {
        let entries: Vec<u8> = protocols
            .iter()
            .flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat())
            .collect();
        extension(ALPN, &counted(&entries))
    }

    fn handshake(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend([0, 2, 0x13, 0x01, 1, 0]);
        if !extensions.is_empty() {
            body.extend(counted(extensions));
        }
        let length = (body.len() as u32).to_be_bytes();
        [&[CLIENT_HELLO], &length[1..], &body].concat()
    }

    /// The handshake in records of at most `size` bytes.
    fn records(handshake: &[u8], size: usize) -> Vec<u8> {
        handshake
            .chunks(size)
            .flat_map(|part| [&[HANDSHAKE, 3, 1][..], &counted(part)].concat())
            .collect()
    }

    fn read(extensions: &[u8]) -> Result<Option<ClientHello>, NoHello> {
        read_client_hello(&records(&handshake(extensions), 16_384))
    }

    #[test]
    fn the_host_and_the_protocols_are_found() {
        let extensions = [name("Shop.Example"), offers(&["h2", "http/1.1"])].concat();
        let hello = read(&extensions).unwrap().unwrap();
        assert_eq!(hello.server_name.as_deref(), Some("shop.example"));
        assert_eq!(hello.protocols, ["h2", "http/1.1"]);
    }

    #[test]
    fn a_hello_without_extensions_names_nothing() {
        assert_eq!(read(&[]), Ok(Some(ClientHello::default())));
    }

    #[test]
    fn a_hello_reads_the_same_however_it_is_cut() {
        let handshake = handshake(&[name("a.example"), offers(&["h2"])].concat());
        let whole = read_client_hello(&records(&handshake, 16_384)).unwrap();
        for size in [3, 5, 17, 100] {
            let bytes = records(&handshake, size);
            if bytes.len() > handshake.len() + MOST_RECORDS * RECORD_HEADER {
                assert_eq!(read_client_hello(&bytes), Err(NoHello::TooLarge), "{size}");
                continue;
            }
            for end in 0..bytes.len() {
                assert_eq!(
                    read_client_hello(&bytes[..end]),
                    Ok(None),
                    "{end} of {size}"
                );
            }
            assert_eq!(read_client_hello(&bytes).unwrap(), whole, "{size}");
        }
    }

    #[test]
    fn what_follows_the_hello_is_not_looked_at() {
        let mut bytes = records(&handshake(&name("a.example")), 16_384);
        bytes.extend([23, 3, 3, 0, 1, 0, 99]);
        assert!(read_client_hello(&bytes).unwrap().is_some());
    }

    #[test]
    fn other_protocols_are_told_by_their_first_byte() {
        for bytes in [&b"S"[..], b"GET / HTTP/1.1\r\n", &[22, 2], &[0x80, 0x2e]] {
            assert_eq!(
                read_client_hello(bytes),
                Err(NoHello::OtherProtocol),
                "{bytes:?}"
            );
        }
        assert_eq!(read_client_hello(&[22]), Ok(None));
        let finished = [&[HANDSHAKE, 3, 3, 0, 4, 20, 0, 0, 0][..]].concat();
        assert_eq!(read_client_hello(&finished), Err(NoHello::OtherProtocol));
    }

    #[test]
    fn a_hello_that_could_be_understood_in_two_ways_is_none() {
        let twice = [name("a.example"), name("b.example")].concat();
        let two = [&[0][..], &counted(b"a"), &[0], &counted(b"b")].concat();
        let strange = [
            twice,
            extension(SERVER_NAME, &counted(&two)),
            extension(SERVER_NAME, &[]),
            extension(SERVER_NAME, &[0, 9, 0, 0, 1, b'a']),
            name("a b"),
            name("a\0b"),
            name(""),
            extension(ALPN, &counted(&[])),
            extension(ALPN, &counted(&[0])),
            vec![0, 0, 0, 9],
        ];
        for extensions in strange {
            assert_eq!(read(&extensions), Err(NoHello::Malformed), "{extensions:?}");
        }
    }

    #[test]
    fn the_first_thing_that_is_wrong_decides_however_the_bytes_come() {
        // A message that is too large, and behind it a record that is none.
        let bytes = [22, 3, 1, 0, 4, 1, 3, 0, 1, 22, 9];
        assert_eq!(read_client_hello(&bytes), Err(NoHello::TooLarge));
        assert_eq!(read_client_hello(&bytes[..9]), Err(NoHello::TooLarge));
        let bytes = [22, 3, 1, 0, 4, 2, 0, 0, 1, 22, 3, 1, 0, 0];
        assert_eq!(read_client_hello(&bytes), Err(NoHello::OtherProtocol));
        assert_eq!(read_client_hello(&bytes[..9]), Err(NoHello::OtherProtocol));
    }

    #[test]
    fn a_hello_that_never_ends_is_given_up() {
        assert_eq!(
            read_client_hello(&[22, 3, 1, 0, 4, 1, 1, 0, 0]),
            Err(NoHello::TooLarge)
        );
        assert_eq!(
            read_client_hello(&[22, 3, 1, 0, 0]),
            Err(NoHello::Malformed)
        );
        assert_eq!(
            read_client_hello(&[22, 3, 1, 0x41, 0]),
            Err(NoHello::Malformed)
        );
        let other = [22, 3, 1, 0, 1, 1, 23, 3, 3, 0, 1];
        assert_eq!(read_client_hello(&other), Err(NoHello::Malformed));
        let later = [22, 3, 1, 0, 5, 1, 0, 0, 50, 3, 23, 3, 3, 0, 1];
        assert_eq!(read_client_hello(&later), Err(NoHello::Malformed));
    }
}
