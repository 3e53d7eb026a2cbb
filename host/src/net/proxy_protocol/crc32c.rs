//! The checksum that a version 2 header can carry: CRC-32C (Castagnoli), bit by bit, since headers are short.

const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Of all `parts`, one after the other.
pub(super) fn crc32c<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            0 => crc >> 1,
            _ => crc >> 1 ^ POLYNOMIAL,
        })
    })
}

#[test]
fn it_is_the_checksum_of_rfc_3720() {
    assert_eq!(crc32c([&b"123456789"[..]]), 0xe306_9283);
    assert_eq!(crc32c([&b"1234"[..], b"56789"]), 0xe306_9283);
    assert_eq!(crc32c([&[0; 32][..]]), 0x8a91_36aa);
}
