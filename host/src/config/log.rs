//! `[[log]]`: where the access log and state changes are written.

use super::{
    Facility, LogFormat, LogLevel, LogSink, LogTarget,
    address::{self, AddressError},
    read::Fields,
    value::Node,
};

const FORMATS: &[(&str, LogFormat)] = &[("httplog", LogFormat::HttpLog), ("json", LogFormat::Json)];

const LEVELS: &[(&str, LogLevel)] = &[
    ("emerg", LogLevel::Emerg),
    ("alert", LogLevel::Alert),
    ("crit", LogLevel::Crit),
    ("err", LogLevel::Err),
    ("warning", LogLevel::Warning),
    ("notice", LogLevel::Notice),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

const FACILITIES: &[(&str, Facility)] = &[
    ("kern", Facility(0)),
    ("user", Facility(1)),
    ("mail", Facility(2)),
    ("daemon", Facility(3)),
    ("auth", Facility(4)),
    ("syslog", Facility(5)),
    ("lpr", Facility(6)),
    ("news", Facility(7)),
    ("uucp", Facility(8)),
    ("cron", Facility(9)),
    ("authpriv", Facility(10)),
    ("ftp", Facility(11)),
    ("local0", Facility(16)),
    ("local1", Facility(17)),
    ("local2", Facility(18)),
    ("local3", Facility(19)),
    ("local4", Facility(20)),
    ("local5", Facility(21)),
    ("local6", Facility(22)),
    ("local7", Facility(23)),
];

const LOCAL0: Facility = Facility(16);

/// Without any `[[log]]`, httplog lines go to standard output; `log = []` writes none.
pub(super) fn read_logs(top: &mut Fields<'_>) -> Vec<LogTarget> {
    let said = top.key_span("log").is_some();
    let logs: Vec<LogTarget> = top
        .tables("log", "[[log]]")
        .into_iter()
        .filter_map(read_log)
        .collect();
    if said {
        return logs;
    }
    vec![LogTarget {
        to: LogSink::Stdout,
        format: LogFormat::HttpLog,
        facility: LOCAL0,
        level: LogLevel::Info,
    }]
}

fn read_log(mut fields: Fields<'_>) -> Option<LogTarget> {
    let to = fields
        .require("to", "\"stdout\"")
        .and_then(|node| read_sink(&node));
    let format = fields.get("format").map(|node| node.choice(FORMATS));
    let facility = fields.get("facility").map(|node| node.choice(FACILITIES));
    let level = fields.get("level").map(|node| node.choice(LEVELS));
    fields.finish(&[]);
    Some(LogTarget {
        to: to?,
        format: format.unwrap_or(Some(LogFormat::HttpLog))?,
        facility: facility.unwrap_or(Some(LOCAL0))?,
        level: level.unwrap_or(Some(LogLevel::Info))?,
    })
}

fn read_sink(node: &Node<'_>) -> Option<LogSink> {
    const HINT: &str =
        "one of `stdout`, `stderr`, `file:PATH`, `syslog:/dev/log`, `syslog:udp://127.0.0.1:514`";
    let base = node.reader.base;
    let text = node.plain_text("stdout")?;
    match text.split_once(':') {
        None if text == "stdout" => Some(LogSink::Stdout),
        None if text == "stderr" => Some(LogSink::Stderr),
        Some(("file", path)) if !path.is_empty() => {
            Some(LogSink::File(address::resolve(path, base)))
        }
        Some(("syslog", to)) => match to.strip_prefix("udp://") {
            Some(socket) => node
                .address(address::socket(socket))
                .map(LogSink::SyslogUdp),
            None if to.starts_with('/') => Some(LogSink::SyslogUnix(to.into())),
            None => node.address(Err(AddressError {
                message: format!("`{to}` is no syslog socket"),
                hint: "write `syslog:/dev/log` or `syslog:udp://127.0.0.1:514`".to_owned(),
            })),
        },
        _ => {
            node.wrong(format!("cannot be `{}`", super::value::shorten(text)), HINT);
            None
        }
    }
}

impl LogLevel {
    /// The name by which syslog and the config know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Err => "err",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}
