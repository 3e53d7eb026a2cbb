//! Answers compressed on their way to clients: which are, and the state of one that is.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::debug;

use super::generation::{Backend, Frontend};
use crate::{
    config::{self, Said},
    http::{
        coding::{self, Encoder, Treatment},
        framing::Framing,
        request::RequestHead,
        response::ResponseHead,
    },
    telemetry::CompressionMetrics,
};

/// What comes out is passed on once there is so much of it, or the server pauses.
const ENOUGH: usize = 16 * 1024;

/// What a frontend or backend says about compression, and how much of it goes on.
#[derive(Debug)]
pub struct Compressing {
    settings: config::Compression,
    /// Answers being compressed now, over all workers.
    running: AtomicUsize,
    metrics: Arc<CompressionMetrics>,
}

impl Compressing {
    pub fn new(settings: config::Compression, metrics: Arc<CompressionMetrics>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            running: AtomicUsize::new(0),
            metrics,
        })
    }

    /// What holds for a backend that was reached through a frontend: what the backend says, else the frontend.
    pub fn of<'g>(frontend: &'g Frontend, backend: &'g Backend) -> Option<&'g Arc<Self>> {
        match &backend.compression {
            Said::Nothing => match &frontend.compression {
                Said::On(compressing) => Some(compressing),
                Said::Off | Said::Nothing => None,
            },
            Said::Off => None,
            Said::On(compressing) => Some(compressing),
        }
    }

    /// Remembers what a request says about codings. To be asked before the request leaves.
    pub fn ask(&self, head: &mut RequestHead) -> coding::Asked {
        let asked = coding::Asked::by(head, &self.settings);
        if self.settings.hide_accept_encoding {
            // Fields of that name can always be removed.
            let _ = head.fields.remove("accept-encoding");
        }
        asked
    }

    /// Makes an answer's head what it is to be, and gives what its body is to go through, if anything.
    pub fn begin(
        self: &Arc<Self>,
        asked: coding::Asked,
        request: &RequestHead,
        head: &mut ResponseHead,
    ) -> Option<Compressor> {
        coding::weaken_not_modified(head, request);
        let compressor = match asked.treatment(head, &self.settings) {
            Treatment::Leave => None,
            Treatment::Vary => {
                // A Vary too long to be said stays as it is; the answer is the plain one in any case.
                let _ = coding::vary(head);
                return None;
            }
            Treatment::Compress(coding) => self.compressor(coding, head),
        };
        let has_body = head.framing() != Framing::None;
        if compressor.is_none() && asked.coding.is_some() && has_body {
            self.metrics.skipped();
        }
        compressor
    }

    fn compressor(
        self: &Arc<Self>,
        coding: config::Coding,
        head: &mut ResponseHead,
    ) -> Option<Compressor> {
        let place = Place::take(self)?;
        let length = match head.framing() {
            Framing::Length(length) => Some(length),
            Framing::None | Framing::Chunked | Framing::UntilClose => None,
        };
        let encoder = Encoder::new(coding, self.settings.levels, length)
            .inspect_err(|error| debug!(%error, "not compressed"))
            .ok()?;
        // Only a head that is too large already fails. What was changed of it by then is true of the plain
        // answer as well, since the coding is said last.
        coding::compress_head(head, coding).ok()?;
        self.metrics.began();
        Some(Compressor { encoder, place })
    }
}

/// One of the answers that may be compressed at a time.
#[derive(Debug)]
struct Place(Arc<Compressing>);

impl Place {
    fn take(compressing: &Arc<Compressing>) -> Option<Self> {
        let before = compressing.running.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(compressing));
        // If there is none, dropping it takes back what was counted.
        (before < compressing.settings.max_streams).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one answer's body goes through.
#[derive(Debug)]
pub struct Compressor {
    encoder: Encoder,
    place: Place,
}

impl Compressor {
    pub fn put(&mut self, data: &[u8]) -> io::Result<()> {
        self.place.0.metrics.took(data.len() as u64);
        self.encoder.put(data)
    }

    /// What is to be passed on now.
    pub fn take_enough(&mut self) -> Option<Vec<u8>> {
        (self.encoder.ready() >= ENOUGH).then(|| self.take())
    }

    /// All that the client can be given of what came so far, if there is anything that it has not got.
    pub fn take_all(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.encoder.holds() {
            self.encoder.flush()?;
        }
        Ok((self.encoder.ready() > 0).then(|| self.take()))
    }

    /// The rest, the end included.
    pub fn end(&mut self) -> io::Result<Vec<u8>> {
        self.encoder.end()?;
        Ok(self.take())
    }

    fn take(&mut self) -> Vec<u8> {
        let taken = self.encoder.take();
        self.place.0.metrics.gave(taken.len() as u64);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{
        heads::{request_head, response_head},
        response::Asked,
    };

    #[test]
    fn a_place_is_free_again_once_its_answer_has_passed() {
        let settings = config::Compression {
            max_streams: 1,
            ..config::Compression::default()
        };
        let compressing = Compressing::new(settings, Arc::default());
        let text = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
        let mut request = request_head(text);
        let asked = compressing.ask(&mut request);
        let begin = || {
            let text = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
            let mut head = response_head(text, Asked::Other);
            compressing.begin(asked, &request, &mut head)
        };
        let mut first = begin().unwrap();
        assert!(begin().is_none(), "one at a time");
        first.put(b"something").unwrap();
        drop(first);
        assert!(begin().is_some());
    }
}
