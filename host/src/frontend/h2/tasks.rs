//! Who serves streams: tasks that a worker keeps for the next stream of any connection, since to make one
//! costs about as much as to serve what a request asks for.

use std::{cell::RefCell, future::poll_fn, rc::Rc, task::Poll, task::Waker};

use h2::Reason;

use super::{
    super::{
        answer::Answer,
        error::ExchangeError,
        exchange::Exchange,
        generation::{Frontend, LocalGeneration},
        record::{Arrived, Caller, Record},
        side::{ClientSide, WholeAnswer},
        worker::Worker,
    },
    client::{StreamClient, StreamHandle},
    connection::Connection,
};
use crate::{
    event_loop::{last_look, spawn_local},
    http::{
        bad::BadRequest,
        h2::Key,
        request::RequestHead,
        response::{Asked, ResponseHead},
        write::ConnectionField,
    },
    net::Deadline,
};

/// Tasks without work that a worker keeps, of some kilobytes each: as many as a few busy connections have use for.
const KEPT: usize = 256;

/// A worker's tasks without work.
#[derive(Debug, Default)]
pub struct StreamTasks(RefCell<Vec<Rc<Desk>>>);

/// Where a task finds its work.
#[derive(Debug, Default)]
struct Desk {
    work: RefCell<Option<Work>>,
    waker: RefCell<Option<Waker>>,
}

impl Desk {
    async fn next(&self) -> Work {
        poll_fn(|cx| {
            if let Some(work) = self.work.take() {
                return Poll::Ready(work);
            }
            let mut waker = self.waker.borrow_mut();
            let known = waker.as_ref();
            if !known.is_some_and(|known| known.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// A request that has begun.
#[derive(Debug)]
pub struct Work {
    stream: StreamHandle,
    head: Box<RequestHead>,
    read: Result<(), BadRequest>,
}

impl Work {
    pub fn new(
        connection: Rc<Connection>,
        key: Key,
        head: Box<RequestHead>,
        read: Result<(), BadRequest>,
    ) -> Self {
        Self {
            stream: StreamHandle::new(connection, key),
            head,
            read,
        }
    }
}

/// Has a request served.
pub fn give_work(worker: &Rc<Worker>, work: Work) {
    let idle = worker.stream_tasks.0.borrow_mut().pop();
    if let Some(desk) = idle {
        *desk.work.borrow_mut() = Some(work);
        if let Some(waker) = &*desk.waker.borrow() {
            waker.wake_by_ref();
        }
        return;
    }
    let desk = Rc::new(Desk {
        work: RefCell::new(Some(work)),
        waker: RefCell::default(),
    });
    spawn_local(serve_all(Rc::clone(worker), desk));
}

/// Serves streams one after the other, as long as there is a place to wait for the next.
async fn serve_all(worker: Rc<Worker>, desk: Rc<Desk>) {
    let mut deadline = Deadline::new();
    loop {
        let work = desk.next().await;
        serve(&worker, work, &mut deadline).await;
        let mut idle = worker.stream_tasks.0.borrow_mut();
        if idle.len() >= KEPT {
            return;
        }
        idle.push(Rc::clone(&desk));
    }
}

/// Serves the request of one stream.
async fn serve(worker: &Worker, work: Work, deadline: &mut Deadline) {
    let Work { stream, head, read } = work;
    if !stream.look_at() {
        worker.give_request_head(head);
        return;
    }
    let generation = worker.current();
    let Some(frontend) = generation.frontend_of(stream.connection.listener) else {
        worker.give_request_head(head);
        stream.reset(Reason::REFUSED_STREAM);
        return;
    };
    let mut record = Record::begin(last_look());
    let mut client = StreamClient::new(stream, deadline);
    match read {
        Ok(()) => {
            record.head_read(Arrived::AtOnce);
            generation.shared.frontends[frontend].metrics.requested();
            let mut exchange =
                Exchange::new(worker, generation, frontend, &mut client, head, &mut record);
            exchange.serve().await;
            exchange.end();
        }
        Err(bad) => {
            worker.give_request_head(head);
            refuse(worker, &generation, frontend, &mut client, record, bad).await;
        }
    }
    if !client.is_finished() {
        client.finish().await;
    }
}

/// Answers what is no sound request.
async fn refuse(
    worker: &Worker,
    generation: &LocalGeneration,
    frontend: usize,
    client: &mut StreamClient<'_>,
    mut record: Record,
    bad: BadRequest,
) {
    let settings: &Frontend = &generation.shared.frontends[frontend];
    let error = ExchangeError::BadRequest(bad);
    record.failed(&error);
    settings.metrics.bad_request();
    let status = error.status().unwrap_or(400);
    let answer = Answer::Failed(status);
    let mut head = ResponseHead::new(status);
    let body = answer.body(&mut head, &settings.error_pages, None);
    let whole = WholeAnswer {
        head: &head,
        body: &body,
        asked: Asked::Other,
        connection: ConnectionField::Implied,
    };
    let limit = settings.timeouts.client;
    let sent = client.send_answer(whole, &worker.buffers, limit).await;
    record.refused(status, sent.unwrap_or(0));
    let id = worker.next_request_id();
    let head: Option<&RequestHead> = None;
    record.write(
        worker,
        &generation.shared,
        frontend,
        head,
        Caller {
            ends: client.ends(),
            forwarded: None,
            vars: client.ends().vars(),
        },
        id,
    );
}
