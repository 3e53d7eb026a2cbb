//! Headers as others write them, ours as others would read them, and what must not pass.

use super::{tlv, *};

fn ends(source: &str, destination: &str) -> Ends {
    Ends {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn said(bytes: &[u8]) -> Result<Option<Said>, BadHeader> {
    let read = read_header(bytes)?;
    Ok(read.map(|header| {
        assert!(header.length <= bytes.len());
        header.said
    }))
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [&SIGNATURE, &[command, family][..], &length, rest].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 1, 0xbb];

#[test]
fn lines_of_version_1() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nGET /";
    let header = read_header(line).unwrap().unwrap();
    assert_eq!(&line[header.length..], b"GET /");
    let Said::Proxied { ends: read, .. } = header.said else {
        panic!("it names a client");
    };
    assert_eq!(read, ends("192.0.2.7:40000", "198.51.100.1:443"));
    let Ok(Some(Said::Proxied { ends: read, .. })) =
        said(b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n")
    else {
        panic!("it names a client");
    };
    assert_eq!(read, ends("[2001:db8::1]:65535", "[::1]:0"));
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ff:: x 7 anything\r\n"] {
        assert!(
            matches!(said(line.as_bytes()), Ok(Some(Said::Unknown(_)))),
            "{line}"
        );
    }
}

#[test]
fn lines_that_are_none() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 40000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 \r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 40000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 040 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +40 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 65536\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWN \u{e9}\n",
        "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "GET / HTTP/1.1\r\n",
        "PR GET",
        "X",
    ] {
        assert!(said(line.as_bytes()).is_err(), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(said(endless.as_bytes()), Err(BadHeader::Line));
}

#[test]
fn headers_of_version_2() {
    let Ok(Some(Said::Proxied { ends: read, .. })) = said(&v2(0x21, 0x11, &V4)) else {
        panic!("it names a client");
    };
    assert_eq!(read, ends("192.0.2.7:40000", "198.51.100.1:443"));
    assert_eq!(said(&v2(0x20, 0, &[])), Ok(Some(Said::Local)));
    assert_eq!(
        said(&v2(0x20, 0x99, &[9; 40])),
        Ok(Some(Said::Local)),
        "what a LOCAL header says is discarded"
    );
    for (family, length) in [(0, 0), (0, 9), (0x12, 12), (0x31, 216), (0x32, 216)] {
        let header = v2(0x21, family, &vec![0; length]);
        assert!(
            matches!(said(&header), Ok(Some(Said::Unknown(_)))),
            "{family}"
        );
    }
}

#[test]
fn headers_of_version_2_that_are_none() {
    assert_eq!(said(&v2(0x11, 0x11, &V4)), Err(BadHeader::Command(0x11)));
    assert_eq!(said(&v2(0x22, 0x11, &V4)), Err(BadHeader::Command(0x22)));
    assert_eq!(said(&v2(0x21, 0x41, &V4)), Err(BadHeader::Family(0x41)));
    assert_eq!(said(&v2(0x21, 0x13, &V4)), Err(BadHeader::Family(0x13)));
    assert_eq!(said(&v2(0x21, 0x11, &V4[..11])), Err(BadHeader::Short));
    assert_eq!(said(&v2(0x21, 0x21, &V4)), Err(BadHeader::Short));
    let mut long = v2(0x21, 0x11, &[]);
    long[14..16].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(said(&long), Err(BadHeader::TooLong));
    for addition in [
        &[4][..],
        &[4, 0],
        &[4, 0, 1],
        &[5, 0, 200],
        &[0x20, 0, 1, 1],
    ] {
        let header = v2(0x21, 0x11, &[&V4[..], addition].concat());
        assert_eq!(said(&header), Err(BadHeader::Addition), "{addition:?}");
    }
}

#[test]
fn a_header_is_the_same_however_it_arrives() {
    let mut written = Vec::new();
    write_v2(
        &mut written,
        Some((Some(&ends("[::1]:1", "[::2]:2")), &full())),
        Checked::Yes,
    );
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n".to_vec();
    for header in [written, line] {
        for end in 0..header.len() {
            assert_eq!(read_header(&header[..end]), Ok(None), "{end}");
        }
        assert_eq!(read_header(&header).unwrap().unwrap().length, header.len());
    }
}

fn full() -> Tlvs {
    Tlvs {
        alpn: Some(b"h2".to_vec()),
        authority: Some(b"shop.example".to_vec()),
        unique_id: Some(b"00c0ffee".to_vec()),
        netns: Some(b"blue".to_vec()),
        tls: Some(Tls {
            version: Some(b"TLSv1.3".to_vec()),
            cipher: Some(b"TLS_AES_128_GCM_SHA256".to_vec()),
            client_cn: Some(b"alice".to_vec()),
            verified: true,
        }),
    }
}

#[test]
fn what_is_written_is_read_again() {
    for checked in [Checked::Yes, Checked::No] {
        for pair in [
            ends("192.0.2.7:40000", "198.51.100.1:443"),
            ends("[2001:db8::7]:1", "[2001:db8::1]:2"),
        ] {
            let mut out = b"before".to_vec();
            write_v2(&mut out, Some((Some(&pair), &full())), checked);
            let expected = Said::Proxied {
                ends: pair,
                tlvs: Box::new(full()),
            };
            assert_eq!(said(&out[6..]), Ok(Some(expected)));
            let mut out = Vec::new();
            write_v1(&mut out, Some(&pair));
            let expected = Said::Proxied {
                ends: pair,
                tlvs: Box::default(),
            };
            assert_eq!(said(&out), Ok(Some(expected)));
        }
    }
    let mut out = Vec::new();
    write_v2(&mut out, None, Checked::Yes);
    assert_eq!(said(&out), Ok(Some(Said::Local)));
    let mut out = Vec::new();
    write_v2(&mut out, Some((None, &Tlvs::default())), Checked::No);
    assert_eq!(said(&out), Ok(Some(Said::Unknown(Box::default()))));
    let mut out = Vec::new();
    write_v1(&mut out, None);
    assert_eq!(out, b"PROXY UNKNOWN\r\n");
}

#[test]
fn addresses_of_two_families_are_written_in_the_larger_one() {
    let mut out = Vec::new();
    write_v1(&mut out, Some(&ends("192.0.2.7:1", "[2001:db8::1]:2")));
    assert_eq!(out, b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n");
    let mut out = Vec::new();
    write_v1(
        &mut out,
        Some(&ends("[::ffff:192.0.2.7]:1", "198.51.100.1:2")),
    );
    assert_eq!(out, b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n");
}

#[test]
fn a_header_that_was_changed_on_the_way_is_refused() {
    let mut header = Vec::new();
    let pair = ends("192.0.2.7:40000", "198.51.100.1:443");
    write_v2(&mut header, Some((Some(&pair), &full())), Checked::Yes);
    for at in FIXED..FIXED + 12 {
        let mut changed = header.clone();
        changed[at] ^= 1;
        assert_eq!(said(&changed), Err(BadHeader::Checksum), "{at}");
    }
    let bare = v2(0x21, 0x11, &[&V4[..], &[tlv::CRC32C, 0, 2, 1, 1]].concat());
    assert_eq!(said(&bare), Err(BadHeader::Addition));
}

#[test]
fn a_client_without_tls_has_no_facts_of_tls() {
    let not = [tlv::TLS, 0, 5, 0, 0, 0, 0, 0];
    let header = v2(0x21, 0x11, &[&V4[..], &not].concat());
    let Ok(Some(Said::Proxied { tlvs, .. })) = said(&header) else {
        panic!("it names a client");
    };
    assert_eq!(tlvs.tls, None);
    let unverified = [tlv::TLS, 0, 5, 3, 0, 0, 0, 1];
    let header = v2(0x21, 0x11, &[&V4[..], &unverified].concat());
    let Ok(Some(Said::Proxied { tlvs, .. })) = said(&header) else {
        panic!("it names a client");
    };
    assert!(tlvs.tls.is_some_and(|tls| !tls.verified));
}
