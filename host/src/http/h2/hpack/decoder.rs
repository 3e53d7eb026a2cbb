//! Heads as they arrive. The table that the other side fills is bounded by what it was allowed, and a field
//! that is only named costs a look into it.

use std::collections::VecDeque;

use super::{huffman, names::STATIC};

/// What the table may hold as long as nothing else was agreed; a larger one is never offered.
const TABLE_LIMIT: usize = 4096;
/// What an entry costs beside its text.
const OVERHEAD: usize = 32;

/// A block that cannot be understood, after which no other can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head that cannot be decompressed")]
pub struct BadBlock;

/// Understands the blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    /// The newest first.
    table: VecDeque<Entry>,
    /// What the table holds, as the RFC counts it.
    size: usize,
    most: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    name_len: usize,
}

impl Entry {
    fn size(&self) -> usize {
        self.text.len() + OVERHEAD
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.text.split_at(self.name_len)
    }
}

/// Whether a field is to be remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

impl Decoder {
    pub fn new() -> Self {
        Self {
            table: VecDeque::new(),
            size: 0,
            most: TABLE_LIMIT,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Gives the fields of a block to `each`, name and value.
    pub fn decode(
        &mut self,
        mut block: &[u8],
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), BadBlock> {
        let mut begun = false;
        while let Some(first) = block.first() {
            match first {
                0x80.. => {
                    let number = integer(&mut block, 7)?;
                    let (name, value) = self.entry(number)?;
                    each(name, value);
                }
                0x40.. => self.literal(&mut block, 6, Keep::Yes, &mut each)?,
                0x20.. => {
                    let most = integer(&mut block, 5)?;
                    // Changes stand before the fields.
                    if begun || most > TABLE_LIMIT {
                        return Err(BadBlock);
                    }
                    self.most = most;
                    self.shrink_to(most);
                    continue;
                }
                _ => self.literal(&mut block, 4, Keep::No, &mut each)?,
            }
            begun = true;
        }
        Ok(())
    }

    /// A field whose value, and perhaps name, is spelt out.
    fn literal(
        &mut self,
        block: &mut &[u8],
        prefix: u32,
        keep: Keep,
        each: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), BadBlock> {
        let (mut name, mut value) = (
            std::mem::take(&mut self.name),
            std::mem::take(&mut self.value),
        );
        name.clear();
        value.clear();
        match integer(block, prefix)? {
            0 => text(block, &mut name)?,
            number => name.extend_from_slice(self.entry(number)?.0),
        }
        text(block, &mut value)?;
        each(&name, &value);
        if keep == Keep::Yes {
            self.insert(&name, &value);
        }
        (self.name, self.value) = (name, value);
        Ok(())
    }

    fn entry(&self, number: usize) -> Result<(&[u8], &[u8]), BadBlock> {
        let at = number.checked_sub(1).ok_or(BadBlock)?;
        if let Some((name, value)) = STATIC.get(at) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.table.get(at - STATIC.len()).ok_or(BadBlock)?;
        Ok(entry.parts())
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + OVERHEAD;
        // One that does not fit empties the table, and that is no error.
        self.shrink_to(self.most.saturating_sub(size));
        if size <= self.most {
            self.size += size;
            self.table.push_front(Entry {
                text: [name, value].concat().into_boxed_slice(),
                name_len: name.len(),
            });
        }
    }

    fn shrink_to(&mut self, most: usize) {
        while self.size > most
            && let Some(oldest) = self.table.pop_back()
        {
            self.size -= oldest.size();
        }
    }

    /// Lets go of what only the next head would need.
    pub fn rest(&mut self) {
        self.name = Vec::new();
        self.value = Vec::new();
    }
}

/// Takes a number whose first bits share a byte with others.
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, BadBlock> {
    let most = (1_usize << prefix) - 1;
    let (first, mut rest) = block.split_first().ok_or(BadBlock)?;
    let mut number = usize::from(*first) & most;
    if number == most {
        let mut shift = 0;
        loop {
            let (byte, after) = rest.split_first().ok_or(BadBlock)?;
            rest = after;
            // No table and no head is larger than four such bytes can say.
            if shift > 21 {
                return Err(BadBlock);
            }
            number += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(number)
}

/// Takes a text and appends it.
fn text(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), BadBlock> {
    let coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(BadBlock)?;
    *block = rest;
    match coded {
        true if !huffman::decode(text, out) => return Err(BadBlock),
        true => {}
        false => out.extend_from_slice(text),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: String = hex.split_whitespace().collect();
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn read(decoder: &mut Decoder, hex: &str) -> Result<String, BadBlock> {
        let mut found = String::new();
        decoder.decode(&bytes(hex), |name, value| {
            found += &format!("{}={}|", name.escape_ascii(), value.escape_ascii());
        })?;
        Ok(found)
    }

    #[test]
    fn the_requests_of_the_rfcs_example_come_out_one_after_the_other() {
        // RFC 7541, C.4.
        let mut decoder = Decoder::new();
        assert_eq!(
            read(&mut decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff").unwrap(),
            ":method=GET|:scheme=http|:path=/|:authority=www.example.com|"
        );
        assert_eq!(
            read(&mut decoder, "8286 84be 5886 a8eb 1064 9cbf").unwrap(),
            ":method=GET|:scheme=http|:path=/|:authority=www.example.com|cache-control=no-cache|"
        );
        let third = "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf";
        assert_eq!(
            read(&mut decoder, third).unwrap(),
            ":method=GET|:scheme=https|:path=/index.html|:authority=www.example.com|\
             custom-key=custom-value|"
        );
        assert_eq!((decoder.size, decoder.table.len()), (164, 3));
    }

    #[test]
    fn the_table_stays_within_its_size_and_drops_the_oldest() {
        let mut decoder = Decoder::new();
        let mut block = Vec::new();
        for number in 0..200 {
            let value = [b'a' + (number % 26) as u8; 100];
            block.extend_from_slice(b"\x40\x01x\x64");
            block.extend_from_slice(&value);
        }
        decoder.decode(&block, |_, _| ()).unwrap();
        assert!(decoder.size <= TABLE_LIMIT, "{}", decoder.size);
        assert_eq!(decoder.table.len(), TABLE_LIMIT / (101 + OVERHEAD));
        let newest = read(&mut decoder, "be").unwrap();
        assert!(newest.starts_with("x=rrrr"), "{newest}");
        // To nothing, and one that does not fit.
        assert_eq!(read(&mut decoder, "20").unwrap(), "");
        assert_eq!((decoder.size, decoder.table.len()), (0, 0));
        assert_eq!(read(&mut decoder, "4001780179").unwrap(), "x=y|");
        assert_eq!(decoder.table.len(), 0);
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (hex, why) in [
            ("80", "number 0"),
            ("be", "an entry that is not there"),
            ("ff8080808001", "a number without an end in sight"),
            ("ffffffffff7f", "a number too large"),
            ("40", "nothing after the first byte"),
            ("400a78", "a name that is cut off"),
            ("40017885ff", "a value that is cut off"),
            ("400178 84ffffffff", "the end's code in a value"),
            ("3fe21f", "a table larger than was offered"),
            ("82 20", "a change of the table after a field"),
        ] {
            assert_eq!(read(&mut Decoder::new(), hex), Err(BadBlock), "{why}");
        }
    }

    #[test]
    fn fields_that_are_not_to_be_remembered_are_not() {
        let mut decoder = Decoder::new();
        assert_eq!(
            read(&mut decoder, "0001780179 1001780179").unwrap(),
            "x=y|x=y|"
        );
        assert_eq!(decoder.table.len(), 0);
    }
}
