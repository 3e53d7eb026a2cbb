//! One client connection, from accept to close: request after request.

use std::rc::Rc;

use super::{
    answer,
    client::{Awaited, Client, HeadError},
    door,
    error::ExchangeError,
    exchange::{Exchange, Next},
    facts::Ends,
    gate::Admission,
    generation::LocalGeneration,
    h2,
    record::{Caller, Record},
    secure, session,
    sources::FromSource,
    worker::{OpenConnection, Worker},
};
use crate::{
    config::{Alpn, Mode},
    event_loop::last_look,
    http::bad::BadRequest,
    net::{Incoming, ListenerId},
};

/// A client that was accepted.
#[derive(Debug)]
pub struct Arrival {
    pub client: Incoming,
    pub listener: ListenerId,
    /// Lets a worker that drains wait for this client too.
    pub open: OpenConnection,
    /// Its place among its client's connections, where these are counted.
    pub source: Option<FromSource>,
}

/// Serves a client until its connection ends. `admissions` are its places under the limits of the process and
/// of the frontend.
pub async fn serve(worker: Rc<Worker>, arrival: Arrival, admissions: [Admission; 2]) {
    let Arrival {
        client: Incoming {
            stream,
            peer,
            local,
        },
        listener,
        open: _open,
        source: _source,
    } = arrival;
    let mut ends = Ends::new(peer, local);
    let accepted = last_look();
    if door::enter(&worker, &stream, &mut ends, listener)
        .await
        .is_none()
    {
        return;
    }
    let mut stream = match secure::acceptor(&worker, listener) {
        None => stream,
        Some(acceptor) => {
            let worker = Rc::clone(&worker);
            // In a box, so that a connection in clear text does not pay for it.
            let secured = secure::secure(worker, acceptor, stream, &mut ends, listener);
            match Box::pin(secured).await {
                Some(stream) => stream,
                None => return,
            }
        }
    };
    let generation = worker.current();
    let Some(frontend) = generation.frontend_of(listener) else {
        return;
    };
    if generation.shared.frontends[frontend].mode == Mode::Tcp {
        // In a box, so that HTTP does not pay for it.
        let session = session::serve(&worker, generation, frontend, &mut stream, &ends, accepted);
        Box::pin(session).await;
        return stream.say_goodbye();
    }
    drop(generation);
    let mut client = Client::new(Rc::clone(&worker), stream, ends, listener);
    match converse(&worker, &mut client).await {
        Over::Http1(Next::KeepAlive | Next::Close) => client.stream.say_goodbye(),
        Over::Http1(Next::Linger) => client.linger().await,
        Over::Http1(Next::Reset) => client.stream.reset_on_close(),
        // In a box, so that HTTP/1 does not pay for it.
        Over::Http2 => Box::pin(h2::serve(&worker, client)).await,
    }
    drop(admissions);
}

/// How talking HTTP/1 ended.
enum Over {
    Http1(Next),
    /// The client never began to; nothing of what it sent was used.
    Http2,
}

async fn converse(worker: &Rc<Worker>, client: &mut Client) -> Over {
    loop {
        let mut generation = worker.current();
        let Some(mut frontend) = generation.frontend_of(client.listener) else {
            return Over::Http1(Next::Close);
        };
        let timeouts = &generation.shared.frontends[frontend].timeouts;
        let first = client.requests == 0;
        if !client.has_pipelined() {
            client.release_buffer();
            let limit = match first {
                true => timeouts.http_request,
                false => timeouts.http_keep_alive,
            };
            // Waiting must not keep an old generation and its instances alive.
            let limit = limit.to_owned();
            drop(generation);
            match client.wait_for_request(client.idle_since, limit).await {
                Awaited::Readable => {}
                Awaited::TimedOut if first => {
                    return Over::Http1(silent(worker, client).await);
                }
                Awaited::TimedOut | Awaited::Leaving => return Over::Http1(Next::Close),
            }
            generation = worker.current();
            let Some(now) = generation.frontend_of(client.listener) else {
                return Over::Http1(Next::Close);
            };
            frontend = now;
        }
        if first {
            match look_at_start(client, &generation).await {
                Spoken::Http1 => {}
                Spoken::Http2 => return Over::Http2,
                Spoken::NotHttp2 => {
                    let record = Record::begin(client.accepted);
                    let error = ExchangeError::BadRequest(BadRequest::NotHttp2);
                    let refused = refuse(worker, client, &generation, frontend, record, &error);
                    return Over::Http1(refused.await);
                }
            }
        }
        let next = one_request(worker, client, generation, frontend).await;
        if next != Next::KeepAlive {
            return Over::Http1(next);
        }
    }
}

/// What the first bytes of a client show.
enum Spoken {
    /// Or what is no HTTP, which reading a request will tell.
    Http1,
    Http2,
    /// Something else than HTTP/2, where nothing else may be spoken.
    NotHttp2,
}

async fn look_at_start(client: &mut Client, generation: &LocalGeneration) -> Spoken {
    let Some(listener) = generation.listener(client.listener) else {
        return Spoken::Http1;
    };
    let protocols = listener.bind.protocols();
    // Over TLS both sides have agreed, unless the client knows nothing of that.
    let agreed = client.ends.tls.as_ref().and_then(|tls| tls.alpn());
    if !protocols.has_http2() || agreed == Some(Alpn::Http11) {
        return Spoken::Http1;
    }
    let only_http2 = !protocols.has_http1() || agreed == Some(Alpn::H2);
    let timeouts = &generation.shared.frontends[listener.frontend].timeouts;
    client.deadline.set(client.accepted, timeouts.http_request);
    // Over TLS it was agreed on before, and what was agreed on is what counts.
    let agreed = client.ends.tls.as_ref().map(|tls| tls.alpn());
    match client.begins_with_preface().await {
        Ok(true) if agreed.is_none_or(|agreed| agreed == Some(Alpn::H2)) => Spoken::Http2,
        Ok(false) if agreed == Some(Some(Alpn::H2)) => Spoken::NotHttp2,
        Ok(false) if only_http2 => Spoken::NotHttp2,
        Ok(_) | Err(_) => Spoken::Http1,
    }
}

/// Reads a request and serves it.
async fn one_request(
    worker: &Worker,
    client: &mut Client,
    generation: Rc<LocalGeneration>,
    frontend: usize,
) -> Next {
    let settings = &generation.shared.frontends[frontend];
    // What came with the request before it is not served before that one is over.
    let began = last_look().max(client.idle_since);
    let limit = settings.timeouts.http_request;
    // A client may take its time before its first request, but not twice.
    let from = if client.requests == 0 {
        client.accepted
    } else {
        began
    };
    client.deadline.set(from, limit);
    let mut head = worker.request_head();
    let read = client.read_head(&mut head, &settings.head_limits).await;
    let mut record = Record::begin(began);
    let error = match read {
        Ok(arrived) => {
            record.head_read(arrived);
            settings.metrics.requested();
            // The next request to arrive anywhere is read into memory that was used a moment ago.
            client.release_buffer();
            let mut exchange =
                Exchange::new(worker, generation, frontend, client, head, &mut record);
            let next = exchange.serve().await;
            exchange.end();
            return next;
        }
        Err(error) => error,
    };
    worker.give_request_head(head);
    let error = match error {
        HeadError::Bad(bad) => ExchangeError::BadRequest(bad),
        HeadError::TimedOut { begun }
            if begun || (client.requests == 0 && !settings.ignore_probes) =>
        {
            ExchangeError::RequestTimedOut { limit }
        }
        HeadError::Closed { begun: true } => {
            record.failed(&ExchangeError::ClientGone);
            record.client_closed_early();
            write_record(worker, client, &generation, frontend, record);
            return Next::Close;
        }
        HeadError::Closed { begun: false } => {
            let silent = !settings.log_empty_connections || settings.ignore_probes;
            if client.requests == 0 && !silent {
                record.client_closed_early();
                write_record(worker, client, &generation, frontend, record);
            }
            return Next::Close;
        }
        HeadError::TimedOut { .. } => return Next::Close,
    };
    refuse(worker, client, &generation, frontend, record, &error).await
}

/// A client that connected and said nothing in time.
async fn silent(worker: &Worker, client: &mut Client) -> Next {
    let generation = worker.current();
    let Some(frontend) = generation.frontend_of(client.listener) else {
        return Next::Close;
    };
    let settings = &generation.shared.frontends[frontend];
    if settings.ignore_probes {
        return Next::Close;
    }
    let error = ExchangeError::RequestTimedOut {
        limit: settings.timeouts.http_request,
    };
    let mut record = Record::begin(client.accepted);
    if !settings.log_empty_connections {
        record.silence();
    }
    refuse(worker, client, &generation, frontend, record, &error).await
}

/// Answers what is no request, and closes.
async fn refuse(
    worker: &Worker,
    client: &mut Client,
    generation: &LocalGeneration,
    frontend: usize,
    mut record: Record,
    error: &ExchangeError,
) -> Next {
    let settings = &generation.shared.frontends[frontend];
    record.failed(error);
    let Some(status) = error.status() else {
        return Next::Close;
    };
    settings.metrics.bad_request();
    let mut out = worker.buffers.scratch();
    answer::refusal(&mut out, status, &settings.error_pages);
    let sent = client.send(&out, settings.timeouts.client).await;
    record.refused(status, out.len() as u64);
    worker.buffers.give_scratch(out);
    write_record(worker, client, generation, frontend, record);
    match sent {
        Ok(()) => Next::Linger,
        Err(_) => Next::Close,
    }
}

fn write_record(
    worker: &Worker,
    client: &Client,
    generation: &LocalGeneration,
    frontend: usize,
    mut record: Record,
) {
    let id = worker.next_request_id();
    record.write(
        worker,
        &generation.shared,
        frontend,
        None,
        Caller {
            ends: &client.ends,
            forwarded: None,
            vars: client.ends.vars(),
        },
        id,
    );
}
