//! Where plugins' log messages pass through on the way to the proxy's log: named, cut, escaped, and
//! not more of them than anyone would read.

use std::{
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::model::PluginName;

/// Messages per second that one plugin use can write, over all its instances.
const PER_SECOND: u32 = 20;

/// Longer messages are cut. In bytes, before escaping.
const LENGTH: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

pub(super) struct LogGate {
    plugin: PluginName,
    rate: Mutex<LogRate>,
}

impl LogGate {
    pub fn new(plugin: PluginName) -> Self {
        Self {
            plugin,
            rate: Mutex::new(LogRate::default()),
        }
    }

    pub fn write(&self, level: Level, message: &str) {
        let pass = self
            .rate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ask(Instant::now());
        let Some(dropped) = pass else {
            return;
        };
        let plugin = &self.plugin;
        if dropped > 0 {
            tracing::warn!(target: "weir::plugin", %plugin, dropped, "messages dropped, more than {PER_SECOND} a second");
        }
        let message = printable(message);
        match level {
            Level::Debug => tracing::debug!(target: "weir::plugin", %plugin, "{message}"),
            Level::Info => tracing::info!(target: "weir::plugin", %plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "weir::plugin", %plugin, "{message}"),
            Level::Error => tracing::error!(target: "weir::plugin", %plugin, "{message}"),
        }
    }
}

/// How many messages were written in the current second.
#[derive(Debug, Default)]
pub struct LogRate {
    began: Option<Instant>,
    written: u32,
    dropped: u64,
}

impl LogRate {
    /// Whether another message may be written: then, how many were kept back since the last one that was.
    pub fn ask(&mut self, now: Instant) -> Option<u64> {
        let is_over = |began| now.duration_since(began) >= Duration::from_secs(1);
        if self.began.is_none_or(is_over) {
            self.began = Some(now);
            self.written = 0;
        }
        if self.written == PER_SECOND {
            self.dropped += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// The message on one line, without anything that a terminal would obey or that would show other than
/// it is.
pub(super) fn printable(message: &str) -> String {
    let end = message.floor_char_boundary(LENGTH);
    let mut printable = String::with_capacity(end);
    for c in message[..end].chars() {
        if c.is_control() || is_invisible(c) {
            write!(printable, "{}", c.escape_default()).expect("a String takes all");
        } else {
            printable.push(c);
        }
    }
    if end < message.len() {
        write!(printable, "... ({} bytes)", message.len()).expect("a String takes all");
    }
    printable
}

/// Line separators, and marks that turn the direction of what follows.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_that_a_terminal_only_shows() {
        assert_eq!(
            printable("a\nb\x1b[2J\u{202e}c \u{e4}\u{85}"),
            "a\\nb\\u{1b}[2J\\u{202e}c \u{e4}\\u{85}"
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = format!("x{}", "\u{e4}".repeat(LENGTH));
        let printed = printable(&message);
        assert!(printed.ends_with("... (2049 bytes)"), "{printed}");
        assert!(printed.len() < LENGTH + 20);
    }

    #[test]
    fn a_flood_is_cut_and_the_next_second_says_how_much_was_lost() {
        let start = Instant::now();
        let mut rate = LogRate::default();
        let written = (0..1_000).filter(|_| rate.ask(start).is_some()).count();
        assert_eq!(written, PER_SECOND as usize);

        let later = start + Duration::from_secs(1);
        assert_eq!(rate.ask(later), Some(980));
        assert_eq!(rate.ask(later), Some(0));
    }
}
