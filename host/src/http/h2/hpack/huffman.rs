//! The text coding of RFC 7541, appendix B. Its code is canonical: codes of one length follow each other in
//! the order of their symbols. So the lengths are all that has to be written down.

/// How many bits the code of each byte has; the last is that of the end, which must not occur.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const END: u16 = 256;
const LONGEST: usize = 30;
/// Codes of up to so many bits, those of nearly all text there is, are found by one look.
const QUICK_BITS: u32 = 9;

/// All codes of one length.
#[derive(Clone, Copy)]
struct Row {
    /// The first of them.
    first: u32,
    /// Where its symbol is among all in the order of their codes.
    offset: u16,
    /// What the next 32 bits are below if the code is of this length or a shorter one.
    below: u64,
}

struct Tables {
    rows: [Row; LONGEST + 1],
    symbols: [u16; 257],
    /// Symbol and length by the next bits; a length of 0 where the code is longer.
    quick: [(u8, u8); 1 << QUICK_BITS],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut tables = Tables {
        rows: [Row {
            first: 0,
            offset: 0,
            below: 0,
        }; LONGEST + 1],
        symbols: [0; 257],
        quick: [(0, 0); 1 << QUICK_BITS],
    };
    let (mut code, mut at, mut length) = (0_u32, 0, 1);
    while length <= LONGEST {
        code <<= 1;
        tables.rows[length].first = code;
        tables.rows[length].offset = at as u16;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                tables.symbols[at] = symbol as u16;
                if length <= QUICK_BITS as usize {
                    let spare = QUICK_BITS as usize - length;
                    let mut rest = 0;
                    while rest < 1 << spare {
                        let bits = ((code as usize) << spare) | rest;
                        tables.quick[bits] = (symbol as u8, length as u8);
                        rest += 1;
                    }
                }
                at += 1;
                code += 1;
            }
            symbol += 1;
        }
        tables.rows[length].below = (code as u64) << (32 - length);
        length += 1;
    }
    tables
}

/// Appends what `coded` stands for. False if it is no sound text: it has the end's code in it, or stops
/// within a code that is not the beginning of the end's.
#[must_use]
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = coded.iter();
    // The next `left` bits are the lowest of `bits`.
    let (mut bits, mut left) = (0_u64, 0_u32);
    loop {
        while left <= 56 {
            let Some(byte) = rest.next() else { break };
            bits = bits << 8 | u64::from(*byte);
            left += 8;
        }
        if left == 0 {
            return true;
        }
        // Behind the last bit come ones, as in the padding.
        let window = match left {
            32.. => (bits >> (left - 32)) as u32,
            _ => ((bits << (32 - left)) as u32) | (u32::MAX >> left),
        };
        let (symbol, length) = match TABLES.quick[(window >> (32 - QUICK_BITS)) as usize] {
            (_, 0) => long_code(window),
            (symbol, length) => (u16::from(symbol), u32::from(length)),
        };
        if length > left {
            // At most seven ones.
            return left < 8 && window == u32::MAX;
        }
        if symbol == END {
            return false;
        }
        out.push(symbol as u8);
        left -= length;
    }
}

/// The symbol whose code `window` begins with, and how long that is.
fn long_code(window: u32) -> (u16, u32) {
    let mut length = QUICK_BITS as usize + 1;
    while length < LONGEST && u64::from(window) >= TABLES.rows[length].below {
        length += 1;
    }
    let row = &TABLES.rows[length];
    let code = window >> (32 - length as u32);
    let at = usize::from(row.offset) + (code - row.first) as usize;
    (TABLES.symbols[at], length as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(hex: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(&bytes(hex), &mut out).then_some(out)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// The code of a symbol, by counting instead of by the tables.
    fn code_of(symbol: usize) -> (u32, u8) {
        let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
        order.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
        let (mut code, mut length) = (0_u32, LENGTHS[order[0]]);
        for found in order {
            code <<= LENGTHS[found] - length;
            length = LENGTHS[found];
            if found == symbol {
                return (code, length);
            }
            code += 1;
        }
        unreachable!("all symbols are in the order")
    }

    fn coded(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for byte in text {
            let (code, length) = code_of(usize::from(*byte));
            bits += &format!("{code:0width$b}", width = usize::from(length));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let bytes = bits.as_bytes().chunks(8);
        bytes
            .map(|bits| u8::from_str_radix(str::from_utf8(bits).unwrap(), 2).unwrap())
            .collect()
    }

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        for (hex, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            (
                "d07abe941054d444a8200595040b8166e082a62d1bff",
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (
                "9d29ad171863c78f0b97c8e9ae82ae43d3",
                "https://www.example.com",
            ),
        ] {
            assert_eq!(decoded(hex).as_deref(), Some(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn every_byte_comes_back_wherever_it_stands() {
        let all: Vec<u8> = (0..=255).collect();
        for start in 0..256 {
            let mut text = all.clone();
            text.rotate_left(start);
            text.truncate(40);
            let mut out = Vec::new();
            assert!(decode(&coded(&text), &mut out), "{start}");
            assert_eq!(out, text);
        }
    }

    #[test]
    fn the_code_of_the_end_and_false_padding_are_refused() {
        // The end alone, a byte of padding too many, zeros as padding, a code cut off.
        for hex in [
            "ffffffff",
            "f1e3c2e5f23a6ba0ab90f4ffff",
            "a8eb10649cb0",
            "fe",
        ] {
            assert_eq!(decoded(hex), None, "{hex}");
        }
        assert_eq!(decoded("").as_deref(), Some(&b""[..]));
    }
}
