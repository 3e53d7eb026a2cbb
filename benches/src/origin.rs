//! Servers that cost next to nothing: one thread, answers made beforehand.
//!
//! Answers are 1 KiB, or 1 MiB for `/big`, and name the port's number in `x-origin`. A target with `?echo`
//! gets its own request head back.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    rc::Rc,
};

use anyhow::Result;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::http;

#[derive(clap::Args)]
pub struct Options {
    /// How many ports to listen on
    #[arg(long, default_value_t = 3)]
    count: usize,
}

const SMALL: usize = 1024;
const BIG: usize = 1 << 20;
const READ_SIZE: usize = 64 << 10;

/// Serves until killed. Prints all ports on one line once it listens.
pub fn run(options: &Options) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut ports = Vec::new();
    let mut listening = Vec::new();
    for index in 0..options.count {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        ports.push(listener.local_addr()?.port().to_string());
        poll.registry()
            .register(&mut listener, Token(index), Interest::READABLE)?;
        listening.push(Origin {
            listener,
            small: answer(index, &[b'x'; SMALL]),
            big: answer(index, &[b'x'; BIG]),
        });
    }
    println!("{}", ports.join(" "));
    serve(&mut poll, &listening)
}

struct Origin {
    listener: TcpListener,
    small: Rc<[u8]>,
    big: Rc<[u8]>,
}

struct Connection {
    stream: TcpStream,
    origin: usize,
    /// What was read and not yet understood.
    input: Vec<u8>,
    /// Bytes of a request's body that are still to come.
    body: usize,
    output: Option<(Rc<[u8]>, usize)>,
    closing: bool,
}

fn serve(poll: &mut Poll, origins: &[Origin]) -> Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut connections: HashMap<Token, Connection> = HashMap::new();
    let mut next = origins.len();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if let Some(origin) = origins.get(event.token().0) {
                while let Ok((mut stream, _)) = origin.listener.accept() {
                    let token = Token(next);
                    next += 1;
                    // Answers go out in one write each; there is nothing for Nagle to join.
                    stream.set_nodelay(true)?;
                    poll.registry().register(
                        &mut stream,
                        token,
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    let index = event.token().0;
                    connections.insert(token, Connection::new(stream, index));
                }
            } else if let Some(connection) = connections.get_mut(&event.token()) {
                let origin = &origins[connection.origin];
                if !connection.advance(origin, &mut buffer).unwrap_or(false) {
                    connections.remove(&event.token());
                }
            }
        }
    }
}

impl Connection {
    fn new(stream: TcpStream, origin: usize) -> Self {
        Self {
            stream,
            origin,
            input: Vec::new(),
            body: 0,
            output: None,
            closing: false,
        }
    }

    /// Does all that can be done now. False once the connection is over.
    fn advance(&mut self, origin: &Origin, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            // An answer waits until its request's body has come.
            if self.body == 0 {
                if !self.flush()? {
                    return Ok(true);
                }
                if self.closing {
                    return Ok(false);
                }
                if self.understand(origin) {
                    continue;
                }
            }
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => self.take(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    /// False if the other side takes no more for now.
    fn flush(&mut self) -> io::Result<bool> {
        while let Some((answer, sent)) = &mut self.output {
            match self.stream.write(&answer[*sent..]) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if *sent == answer.len() {
                self.output = None;
            }
        }
        Ok(true)
    }

    fn take(&mut self, bytes: &[u8]) {
        let skipped = self.body.min(bytes.len());
        self.body -= skipped;
        self.input.extend_from_slice(&bytes[skipped..]);
    }

    /// Takes a request off the input and answers it. False if there is none yet.
    fn understand(&mut self, origin: &Origin) -> bool {
        let Some(end) = http::end_of_head(&self.input) else {
            return false;
        };
        let head = &self.input[..end];
        let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let answer = match target {
            b"/big" => origin.big.clone(),
            _ if target.ends_with(b"?echo") => answer(self.origin, head),
            _ => origin.small.clone(),
        };
        self.closing = http::says_close(head);
        let body = http::header(head, b"content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        let here = (self.input.len() - end).min(body);
        self.input.drain(..end + here);
        self.body = body - here;
        self.output = Some((answer, 0));
        true
    }
}

fn answer(index: usize, body: &[u8]) -> Rc<[u8]> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nx-origin: {index}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}
