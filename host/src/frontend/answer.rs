//! Answers that the proxy gives itself: error pages, denials, a filter's replies.

use std::{borrow::Cow, sync::Arc};

use super::{generation::Backend, side::WholeAnswer};
use crate::{
    config::{ErrorPage, ErrorPages},
    http::{
        framing::Framing,
        reason::reason,
        response::{Asked, ResponseHead},
        write::{ConnectionField, ResponseWrite},
    },
    model::Reply,
};

/// What is said in place of a server's answer.
#[derive(Debug)]
pub enum Answer {
    /// A filter's own words.
    Reply(Reply),
    /// A filter refused the request.
    Denied(u16),
    /// The exchange failed.
    Failed(u16),
}

impl Answer {
    /// Fills `head` in and returns the body. The error page is the backend's, else the frontend's, else
    /// the built-in one.
    pub fn body<'a>(
        &'a self,
        head: &mut ResponseHead,
        frontend: &'a ErrorPages,
        backend: Option<&'a Backend>,
    ) -> Cow<'a, [u8]> {
        let status = match self {
            Self::Reply(reply) => {
                *head = ResponseHead::new(reply.status);
                for header in &reply.headers {
                    // What must not be sent was refused when the plugin answered.
                    let _ = head.fields.add(&header.name, header.value.as_bytes());
                }
                return Cow::Borrowed(&reply.body);
            }
            Self::Denied(status) | Self::Failed(status) => *status,
        };
        *head = ResponseHead::new(status);
        let backend_page = backend.and_then(|backend| backend.error_pages.0.get(&status));
        match backend_page.or_else(|| frontend.0.get(&status)) {
            Some(page) => custom_page(page, head),
            None => built_in_page(status, head),
        }
    }
}

fn custom_page<'a>(page: &'a Arc<ErrorPage>, head: &mut ResponseHead) -> Cow<'a, [u8]> {
    if page.status != head.status() {
        *head = ResponseHead::new(page.status);
    }
    for (name, value) in &page.headers {
        // The config reader has checked the page; what belongs to the proxy alone is left out.
        let _ = head.fields.add(name, value.as_bytes());
    }
    Cow::Borrowed(&page.body)
}

fn built_in_page(status: u16, head: &mut ResponseHead) -> Cow<'static, [u8]> {
    for (name, value) in [("cache-control", "no-cache"), ("content-type", "text/html")] {
        head.fields
            .add(name, value.as_bytes())
            .expect("constant fields are sound");
    }
    let (heading, text) = wording(status);
    format!("<html><body><h1>{status} {heading}</h1>\n{text}\n</body></html>\n")
        .into_bytes()
        .into()
}

/// HAProxy's words, which operators' tools may look for.
fn wording(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("Bad request", "Your browser sent an invalid request."),
        401 | 407 => (
            "Unauthorized",
            "You need a valid user and password to access this content.",
        ),
        403 => ("Forbidden", "Request forbidden by administrative rules."),
        404 => ("Not Found", "The resource could not be found."),
        405 => (
            "Method Not Allowed",
            "A request was made of a resource using a request method not supported by that resource",
        ),
        408 => (
            "Request Time-out",
            "Your browser didn't send a complete request in time.",
        ),
        410 => (
            "Gone",
            "The resource is no longer available and will not be available again.",
        ),
        413 => (
            "Payload Too Large",
            "The request entity exceeds the maximum allowed.",
        ),
        425 => ("Too Early", "Your browser sent early data."),
        429 => (
            "Too Many Requests",
            "You have sent too many requests in a given amount of time.",
        ),
        500 => (
            "Internal Server Error",
            "An internal server error occurred.",
        ),
        501 => (
            "Not Implemented",
            "The server does not support the functionality required to fulfill the request.",
        ),
        502 => (
            "Bad Gateway",
            "The server returned an invalid or incomplete response.",
        ),
        503 => (
            "Service Unavailable",
            "No server is available to handle this request.",
        ),
        504 => ("Gateway Time-out", "The server didn't respond in time."),
        other => (reason(other), "The proxy answered this request itself."),
    }
}

/// Writes a whole answer. Its length is stated even where the body is left out.
pub fn write(out: &mut Vec<u8>, answer: &WholeAnswer<'_>) {
    let WholeAnswer {
        head,
        body,
        asked,
        connection,
    } = *answer;
    let bodiless = matches!(head.status(), 204 | 304);
    let framing = if bodiless {
        Framing::None
    } else {
        Framing::Length(body.len() as u64)
    };
    let how = ResponseWrite {
        connection,
        framing,
        extra: &[],
    };
    head.write(out, &how);
    if asked == Asked::Other && !bodiless {
        out.extend_from_slice(body);
    }
}

/// The answer to what is no request, for which no plugin is asked and no exchange begins.
pub fn refusal(out: &mut Vec<u8>, status: u16, pages: &ErrorPages) {
    let answer = Answer::Failed(status);
    let mut head = ResponseHead::new(status);
    let body = answer.body(&mut head, pages, None);
    let answer = WholeAnswer {
        head: &head,
        body: &body,
        asked: Asked::Other,
        connection: ConnectionField::Close,
    };
    write(out, &answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pages_are_as_long_as_those_operators_know() {
        for (status, length) in [
            (400, 90),
            (401, 112),
            (403, 93),
            (408, 110),
            (429, 117),
            (500, 97),
            (502, 107),
            (503, 107),
            (504, 92),
        ] {
            let body = built_in_page(status, &mut ResponseHead::new(status));
            assert_eq!(body.len(), length, "{status}");
        }
    }

    #[test]
    fn a_refusal_closes_and_says_how_long_it_is() {
        let mut out = Vec::new();
        refusal(&mut out, 400, &ErrorPages::default());
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
        assert!(
            text.to_lowercase().contains("content-length: 90\r\n"),
            "{text}"
        );
        assert!(
            text.to_lowercase().contains("connection: close\r\n"),
            "{text}"
        );
    }
}
