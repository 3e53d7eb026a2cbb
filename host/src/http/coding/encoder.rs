//! One compressed body: bytes in, bytes out, whichever library does it.
//!
//! Windows are 128 KiB at most, since the libraries' memory follows from them: about 0.4 MiB for gzip, 1.2 MiB
//! for zstd and 1.8 MiB for brotli at the usual levels. A larger window gains little on what is sent in one
//! answer.

use std::{
    fmt,
    io::{self, Write},
};

use flate2::write::GzEncoder;
use zstd::stream::{raw::CParameter, write::Encoder as ZstdEncoder};

use crate::config::{Coding, Levels};

/// As a power of two.
const WINDOW: u8 = 17;
/// What brotli copies its output through.
const BROTLI_OUT: usize = 8 * 1024;

/// Compresses one body.
pub struct Encoder {
    library: Library,
    /// Something was put in that may not have come out.
    holds: bool,
}

enum Library {
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
    /// Closed, with what was left.
    Ended(Vec<u8>),
}

impl Encoder {
    /// `length` is that of the body, if it is known. Fails if there is no memory to be had.
    pub fn new(coding: Coding, levels: Levels, length: Option<u64>) -> io::Result<Self> {
        let library = match coding {
            Coding::Zstd => Library::Zstd(zstd(levels.zstd, length)?),
            Coding::Brotli => Library::Brotli(Box::new(brotli(levels.brotli, length))),
            Coding::Gzip => {
                let level = flate2::Compression::new(levels.gzip);
                Library::Gzip(GzEncoder::new(Vec::new(), level))
            }
        };
        Ok(Self {
            library,
            holds: false,
        })
    }

    /// Takes a piece of the body.
    pub fn put(&mut self, data: &[u8]) -> io::Result<()> {
        self.holds = true;
        self.writer()?.write_all(data)
    }

    /// Whether something that was put in waits for more.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// Brings out whatever was put in, so that the client can read it all.
    pub fn flush(&mut self) -> io::Result<()> {
        self.holds = false;
        self.writer()?.flush()
    }

    /// Ends the body. Nothing can be put in any more.
    pub fn end(&mut self) -> io::Result<()> {
        self.holds = false;
        let rest = match std::mem::replace(&mut self.library, Library::Ended(Vec::new())) {
            Library::Zstd(encoder) => encoder.finish()?,
            Library::Brotli(encoder) => encoder.into_inner(),
            Library::Gzip(encoder) => encoder.finish()?,
            Library::Ended(rest) => rest,
        };
        self.library = Library::Ended(rest);
        Ok(())
    }

    /// How much has come out.
    pub fn ready(&self) -> usize {
        match &self.library {
            Library::Zstd(encoder) => encoder.get_ref().len(),
            Library::Brotli(encoder) => encoder.get_ref().len(),
            Library::Gzip(encoder) => encoder.get_ref().len(),
            Library::Ended(rest) => rest.len(),
        }
    }

    /// Takes what has come out.
    pub fn take(&mut self) -> Vec<u8> {
        let out = match &mut self.library {
            Library::Zstd(encoder) => encoder.get_mut(),
            Library::Brotli(encoder) => encoder.get_mut(),
            Library::Gzip(encoder) => encoder.get_mut(),
            Library::Ended(rest) => rest,
        };
        std::mem::take(out)
    }

    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match &mut self.library {
            Library::Zstd(encoder) => Ok(encoder),
            Library::Brotli(encoder) => Ok(encoder),
            Library::Gzip(encoder) => Ok(encoder),
            Library::Ended(_) => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

fn zstd(level: u32, length: Option<u64>) -> io::Result<ZstdEncoder<'static, Vec<u8>>> {
    // The reader of the configuration lets 1 to 19 through.
    let mut encoder = ZstdEncoder::new(Vec::new(), i32::try_from(level).unwrap_or(1))?;
    encoder.set_parameter(CParameter::WindowLog(u32::from(WINDOW)))?;
    // With it the library takes no more memory than a short body needs.
    encoder.set_pledged_src_size(length)?;
    Ok(encoder)
}

fn brotli(level: u32, length: Option<u64>) -> brotli::CompressorWriter<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: i32::try_from(level).unwrap_or(1),
        lgwin: i32::from(WINDOW),
        size_hint: length.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX)),
        ..Default::default()
    };
    brotli::CompressorWriter::with_params(Vec::new(), BROTLI_OUT, &params)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// What can be read of a stream that may have no end yet.
    fn read(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reader: Box<dyn Read> = match coding {
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
            Coding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        };
        let mut piece = [0; 4096];
        // The end that is missing is an error, after all that is there.
        while let Ok(count @ 1..) = reader.read(&mut piece) {
            out.extend_from_slice(&piece[..count]);
        }
        out
    }

    fn text(bytes: usize) -> Vec<u8> {
        let words = (0..).flat_map(|n: u32| format!("line {n} of {}\n", n % 77).into_bytes());
        words.take(bytes).collect()
    }

    #[test]
    fn what_goes_in_comes_out_again_in_all_codings_and_at_all_levels() {
        let body = text(300_000);
        for coding in ALL {
            for level in [1, 3, 4, 6, 9] {
                let levels = Levels {
                    zstd: level,
                    brotli: level,
                    gzip: level,
                };
                for length in [None, Some(body.len() as u64)] {
                    let mut encoder = Encoder::new(coding, levels, length).unwrap();
                    let mut out = Vec::new();
                    for piece in body.chunks(7_001) {
                        encoder.put(piece).unwrap();
                        out.extend(encoder.take());
                    }
                    encoder.end().unwrap();
                    out.extend(encoder.take());
                    assert!(
                        out.len() < body.len() / 2,
                        "{coding:?} {level}: {}",
                        out.len()
                    );
                    assert_eq!(read(coding, &out), body, "{coding:?} {level} {length:?}");
                }
            }
        }
    }

    #[test]
    fn after_a_flush_everything_can_be_read() {
        for coding in ALL {
            let mut encoder = Encoder::new(coding, Levels::default(), None).unwrap();
            let (mut sent, mut body) = (Vec::new(), Vec::new());
            for n in 0..200 {
                let event = format!("data: {n}\n\n");
                body.extend_from_slice(event.as_bytes());
                encoder.put(event.as_bytes()).unwrap();
                assert!(encoder.holds());
                encoder.flush().unwrap();
                assert!(!encoder.holds());
                assert!(encoder.ready() > 0);
                sent.extend(encoder.take());
                assert_eq!(read(coding, &sent), body, "{coding:?} after {n}");
            }
            encoder.end().unwrap();
            sent.extend(encoder.take());
            assert_eq!(read(coding, &sent), body, "{coding:?}");
            assert!(encoder.put(b"more").is_err(), "it was ended");
        }
    }

    #[test]
    fn an_empty_body_has_an_end_as_well() {
        for coding in ALL {
            let mut encoder = Encoder::new(coding, Levels::default(), None).unwrap();
            encoder.end().unwrap();
            let out = encoder.take();
            assert!(!out.is_empty(), "{coding:?}");
            assert_eq!(read(coding, &out), b"");
        }
    }
}
