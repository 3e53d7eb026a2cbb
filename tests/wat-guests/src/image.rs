//! The first bytes of a guest's memory: its texts and records, laid out before it runs.

use std::fmt::Write;

/// An address with enough zeros for any record or list of the contract to read as its first case, or as
/// empty.
pub const ZEROS: u32 = 16;

/// Data begins here; what lies below is zero, or scratch for results (from 128).
const BASE: u32 = 1024;

/// All data ends before this.
pub const LIMIT: u32 = 128 * 1024;

#[derive(Debug, Clone)]
pub struct Image {
    bytes: Vec<u8>,
}

impl Image {
    pub fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    pub fn text(&mut self, text: &str) -> (u32, u32) {
        (self.data(text.as_bytes()), length(text.len()))
    }

    /// A list of texts: its address and length.
    pub fn texts(&mut self, texts: &[String]) -> (u32, u32) {
        let mut list = Vec::new();
        for text in texts {
            let (address, length) = self.text(text);
            list.extend([address, length]);
        }
        (self.words(&list), length(texts.len()))
    }

    pub fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.data(&bytes)
    }

    pub fn data(&mut self, bytes: &[u8]) -> u32 {
        let aligned = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(aligned, 0);
        let address = BASE + length(aligned);
        self.bytes.extend_from_slice(bytes);
        assert!(BASE + length(self.bytes.len()) <= LIMIT, "too much data");
        address
    }

    /// As a field of the core module.
    pub fn segment(&self) -> String {
        let mut segment = format!("(data (i32.const {BASE}) \"");
        for byte in &self.bytes {
            write!(segment, "\\{byte:02x}").expect("a String takes all");
        }
        segment.push_str("\")");
        segment
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a guest's data is small")
}
