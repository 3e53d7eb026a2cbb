//! Lines about exchanges in a form of the operator's own.

use std::{borrow::Cow, fmt, time::UNIX_EPOCH};

use super::{
    access::{AccessRecord, Spoken, Timers},
    date::Dates,
    text::{push_client, push_escaped, push_number},
};
use crate::{
    config::{EndFact, LogPart, LogTemplate},
    model::Input,
};

/// Whoever knows the inputs that an exchange had.
pub trait LineFacts: fmt::Debug {
    fn value<'a>(&'a self, input: &'a Input) -> Option<Cow<'a, str>>;
}

/// The form of a line, and who knows what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct OwnLine<'a> {
    pub template: &'a LogTemplate,
    pub facts: &'a dyn LineFacts,
}

/// Appends the line, without a line end. Nothing foreign in it can end the line or a quoted part.
pub fn format_line(
    line: &OwnLine<'_>,
    record: &AccessRecord<'_>,
    dates: &mut Dates,
    out: &mut Vec<u8>,
) {
    for part in &line.template.parts {
        match part {
            LogPart::Text(text) => out.extend_from_slice(text.as_bytes()),
            LogPart::Input(input, absent) => match line.facts.value(input) {
                Some(value) => push_escaped(out, value.as_bytes()),
                None => out.extend_from_slice(absent.as_bytes()),
            },
            LogPart::End(fact, absent) => {
                if end_fact(*fact, record, dates, out).is_none() {
                    out.extend_from_slice(absent.as_bytes());
                }
            }
        }
    }
}

/// Appends a fact. `None` if there is no such thing; then nothing was appended.
fn end_fact(
    fact: EndFact,
    record: &AccessRecord<'_>,
    dates: &mut Dates,
    out: &mut Vec<u8>,
) -> Option<()> {
    let Timers {
        request,
        queue,
        connect,
        response,
        total,
    } = record.timers;
    let timer = |timer: Option<std::time::Duration>| timer.map(|time| time.as_millis() as u64);
    let request_line = match record.spoken {
        Spoken::Http(line) => line,
        Spoken::Tcp { .. } => None,
    };
    match fact {
        EndFact::Time => dates.push_common(out, record.started),
        EndFact::TimeIso => dates.push_iso(out, record.started),
        EndFact::Timestamp => {
            let since = record.started.duration_since(UNIX_EPOCH).ok()?;
            push_number(out, since.as_secs());
        }
        EndFact::Client => push_client(out, record.client),
        EndFact::Frontend => out.extend_from_slice(record.frontend.as_bytes()),
        EndFact::TlsMark if record.tls => out.push(b'~'),
        // It is a mark, and no fact that could be missing.
        EndFact::TlsMark => {}
        // What there is not is written as in the usual line.
        EndFact::Backend => {
            out.extend_from_slice(record.backend.unwrap_or(record.frontend).as_bytes());
        }
        EndFact::Server => out.extend_from_slice(record.server.unwrap_or("<NOSRV>").as_bytes()),
        EndFact::Request => match (request_line, record.spoken) {
            (Some(line), _) => {
                push_escaped(out, line.method);
                out.push(b' ');
                push_escaped(out, line.target);
                out.push(b' ');
                push_escaped(out, line.version.as_bytes());
            }
            (None, Spoken::Http(_)) => out.extend_from_slice(b"<BADREQ>"),
            (None, Spoken::Tcp { .. }) => return None,
        },
        EndFact::Target => push_escaped(out, request_line?.target),
        EndFact::Status => push_or_minus_1(out, record.status.map(u64::from)),
        EndFact::Bytes => push_number(out, record.bytes),
        EndFact::BytesReceived => match record.spoken {
            Spoken::Tcp { received } => push_number(out, received),
            Spoken::Http(_) => push_number(out, record.bytes_received),
        },
        EndFact::Verdict => out.extend_from_slice(record.verdict?.as_bytes()),
        EndFact::Fault => out.extend_from_slice(record.fault?.as_bytes()),
        EndFact::Termination => out.extend_from_slice(match record.spoken {
            Spoken::Http(_) => &record.termination,
            Spoken::Tcp { .. } => &record.termination[..2],
        }),
        EndFact::RequestMs => push_or_minus_1(out, timer(request)),
        EndFact::QueueMs => push_or_minus_1(out, timer(queue)),
        EndFact::ConnectMs => push_or_minus_1(out, timer(connect)),
        EndFact::ResponseMs => push_or_minus_1(out, timer(response)),
        EndFact::TotalMs => push_or_minus_1(out, timer(Some(total))),
        EndFact::Retries => {
            if record.redispatched {
                out.push(b'+');
            }
            push_number(out, u64::from(record.retries));
        }
        EndFact::ProcessConnections => push_number(out, record.connections.process.into()),
        EndFact::FrontendConnections => push_number(out, record.connections.frontend.into()),
        EndFact::BackendExchanges => push_number(out, record.connections.backend.into()),
        EndFact::ServerExchanges => push_number(out, record.connections.server.into()),
        EndFact::ServerQueue => push_number(out, record.queues.server.into()),
        EndFact::BackendQueue => push_number(out, record.queues.backend.into()),
    }
    Some(())
}

fn push_or_minus_1(out: &mut Vec<u8>, number: Option<u64>) {
    match number {
        Some(number) => push_number(out, number),
        None => out.extend_from_slice(b"-1"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::{super::access::tests::record, *};

    /// Knows one header field.
    #[derive(Debug)]
    struct Agent(Option<&'static str>);

    impl LineFacts for Agent {
        fn value<'a>(&'a self, input: &'a Input) -> Option<Cow<'a, str>> {
            match input {
                Input::Header(name) if name == "user-agent" => self.0.map(Cow::Borrowed),
                _ => None,
            }
        }
    }

    fn line(format: &str, agent: Option<&'static str>) -> String {
        let own = OwnLine {
            template: &LogTemplate::parse(format).unwrap(),
            facts: &Agent(agent),
        };
        let mut out = Vec::new();
        let mut dates = Dates::in_zone(TimeZone::UTC);
        format_line(&own, &record(), &mut dates, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_looks_as_its_template_says() {
        assert_eq!(
            line(
                "{client} [{time}] {frontend}{tls_mark} {backend}/{server} {status} {total_ms} \"{request}\"",
                None
            ),
            "127.0.0.1:40176 [21/Nov/2026:01:59:41.176] f b/web-a 200 0 \"GET /x?y HTTP/1.1\""
        );
    }

    #[test]
    fn what_is_not_there_is_a_dash_and_between_quotes_nothing() {
        let format = "{header(user-agent)} \"{header(user-agent)}\" {verdict}";
        assert_eq!(line(format, None), "- \"\" -");
        let evil = Some("a\"b\n");
        assert_eq!(line(format, evil), "a#22b#0A \"a#22b#0A\" -");
    }
}
