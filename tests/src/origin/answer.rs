//! What an origin can be told to answer.

use std::time::Duration;

/// An answer, and what happens to the connection after it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) when: When,
    pub(super) content: Content,
    pub(super) after: After,
}

/// When the answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    AfterBody,
    /// The body stays unread.
    AfterHead,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Message {
        status: u16,
        fields: Vec<(String, String)>,
        body: Body,
    },
    /// Written as they are, each after its pause.
    Bytes(Vec<(Duration, Vec<u8>)>),
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// The request as JSON.
    Echo,
    Length(Vec<u8>),
    Chunks {
        chunks: Vec<Vec<u8>>,
        trailers: Vec<(String, String)>,
    },
}

/// What happens to the connection once the answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// As the request and HTTP/1.1 say.
    KeepAlive,
    Close,
    /// Closed with RST.
    Reset,
    /// Nothing is read or written any more, until the origin is dropped.
    Hang,
    /// Whatever comes is sent back, as after a WebSocket upgrade.
    EchoTunnel,
}

impl Answer {
    /// 200 with the request as JSON: `origin`, `method`, `target`, `version`, `headers`, `body`.
    pub fn echo() -> Self {
        Self::message(200, Body::Echo)
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::message(status, Body::Length(Vec::new()))
    }

    /// 200 with this body and its Content-Length.
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self::message(200, Body::Length(body.into()))
    }

    /// 200 with a chunked body, each item one chunk.
    pub fn chunks(chunks: &[&[u8]]) -> Self {
        let chunks = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        Self::message(
            200,
            Body::Chunks {
                chunks,
                trailers: Vec::new(),
            },
        )
    }

    /// Exactly these bytes. The connection is closed after them unless [`Answer::then`] says otherwise.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::paced(vec![(Duration::ZERO, bytes.into())])
    }

    /// Exactly these bytes, each piece after its pause.
    pub fn paced(pieces: Vec<(Duration, Vec<u8>)>) -> Self {
        Self {
            delay: Duration::ZERO,
            when: When::AfterBody,
            content: Content::Bytes(pieces),
            after: After::Close,
        }
    }

    /// Closes without a byte.
    pub fn nothing() -> Self {
        Self::bytes("")
    }

    /// 101 to that protocol, then everything is sent back.
    pub fn upgrade(protocol: &str) -> Self {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n"
        );
        Self::bytes(head).then(After::EchoTunnel)
    }

    /// Adds a field. Messages only.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match &mut self.content {
            Content::Message { fields, .. } => fields.push((name.to_owned(), value.to_owned())),
            Content::Bytes(_) => panic!("bytes are sent as they are; write the field into them"),
        }
        self
    }

    /// Replaces the status. Messages only.
    pub fn with_status(mut self, new: u16) -> Self {
        match &mut self.content {
            Content::Message { status, .. } => *status = new,
            Content::Bytes(_) => panic!("bytes are sent as they are; write the status into them"),
        }
        self
    }

    /// Adds a trailer. Chunked messages only.
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        match &mut self.content {
            Content::Message {
                body: Body::Chunks { trailers, .. },
                ..
            } => {
                trailers.push((name.to_owned(), value.to_owned()));
            }
            _ => panic!("only a chunked message has trailers"),
        }
        self
    }

    /// Waits before the first byte.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers as soon as the head is there and leaves the body unread.
    pub fn before_the_body(mut self) -> Self {
        self.when = When::AfterHead;
        self
    }

    /// What happens to the connection afterwards.
    pub fn then(mut self, after: After) -> Self {
        self.after = after;
        self
    }

    fn message(status: u16, body: Body) -> Self {
        let content = Content::Message {
            status,
            fields: Vec::new(),
            body,
        };
        Self {
            delay: Duration::ZERO,
            when: When::AfterBody,
            content,
            after: After::KeepAlive,
        }
    }
}
