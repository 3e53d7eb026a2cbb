//! The server `weir:statistics`: the figures of the administrators' door, and nothing else of it, for whoever
//! a frontend lets through.

use std::{convert::Infallible, rc::Rc, sync::Arc, time::Duration};

use hyper::{
    Method, Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::UnixStream, sync::Semaphore, task::spawn_local};
use tracing::debug;

use super::{
    admin::{Admin, Answer, metrics, text, wrong_method},
    admin_stats,
};
use crate::net::Visitors;

const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// Connections at a time; frontends keep and share them.
const MOST: usize = 64;

/// Answers visitors for ever.
pub async fn serve(admin: Rc<Admin>, mut visitors: Visitors) {
    let places = Arc::new(Semaphore::new(MOST));
    while let Some(stream) = visitors.recv().await {
        let Ok(stream) = UnixStream::from_std(stream) else {
            continue;
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let admin = Rc::clone(&admin);
        let service = service_fn(move |request| {
            let answer = answer(&admin, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        spawn_local(async move {
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                debug!(%error, "a connection to the statistics ended");
            }
        });
    }
}

fn answer(admin: &Admin, request: &Request<Incoming>) -> Answer {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/stats") => admin_stats::page(admin, request.uri().query()),
        (&Method::GET | &Method::HEAD, "/stats;csv") => admin_stats::csv(admin),
        (&Method::GET | &Method::HEAD, "/metrics") => metrics(admin),
        (_, "/stats" | "/stats;csv" | "/metrics") => wrong_method("GET"),
        _ => text(
            StatusCode::NOT_FOUND,
            "there are /stats, /stats;csv and /metrics\n",
        ),
    }
}
