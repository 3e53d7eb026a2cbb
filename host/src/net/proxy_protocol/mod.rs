//! The PROXY protocol, versions 1 and 2: how a proxy tells the next one who its client is. Bytes in, header
//! out and back: no socket, no clock. Whom to believe is not known here.

mod crc32c;
mod read;
#[cfg(test)]
mod tests;
mod tlv;
mod write;

use std::net::SocketAddr;

pub use read::{BadHeader, read_header};
pub use tlv::{Tls, Tlvs};
pub use write::{Checked, write_v1, write_v2};

/// A header that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How many bytes it takes; what follows is the client's.
    pub length: usize,
    pub said: Said,
}

/// What a header says of the connection that it stands before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The sender speaks for itself, as when it checks whether we live (v2 `LOCAL`).
    Local,
    /// It does not know, or the addresses are of a kind that is none of ours (`UNKNOWN`, `UNSPEC`, Unix
    /// sockets, datagrams).
    Unknown(Box<Tlvs>),
    /// On behalf of this client.
    Proxied { ends: Ends, tlvs: Box<Tlvs> },
}

/// The addresses of the connection that the sender took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of a version 2 header.
const FIXED: usize = 16;
/// The longest line of version 1, with its line end.
const LONGEST_LINE: usize = 107;
/// The longest header that is taken. Certificates among the additions make some of them long.
pub const MOST_BYTES: usize = 16 * 1024;
