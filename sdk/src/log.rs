//! The proxy's log. Always granted; limited in rate and length, so what happens per request is `debug`.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// `log::debug(format_args!("no such tier: {tier}"))`
pub fn debug(message: impl fmt::Display) {
    write(Level::Debug, &message.to_string());
}

pub fn info(message: impl fmt::Display) {
    write(Level::Info, &message.to_string());
}

pub fn warn(message: impl fmt::Display) {
    write(Level::Warn, &message.to_string());
}

pub fn error(message: impl fmt::Display) {
    write(Level::Error, &message.to_string());
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    use crate::contract::imports::weir::plugin::log as host;

    let level = match level {
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    crate::test::host::logged_by_plugin(level, message);
}
