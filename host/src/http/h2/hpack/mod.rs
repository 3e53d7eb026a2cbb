//! How heads are written over HTTP/2 (RFC 7541): fields as numbers of tables, or as names and values.
//! Bytes in, fields out, and back; what the fields mean is not known here.

mod decoder;
mod encoder;
mod huffman;
mod names;

pub use decoder::Decoder;
pub use encoder::Encoder;
