//! The door: what happens to a connection before its bytes mean anything. A PROXY header is taken off, and
//! connection filters are asked, in front of TCP and of HTTP alike.

use std::{cell::Cell, future::Future, rc::Rc, time::Duration};

use tracing::info;

use super::{
    edits,
    facts::{Brought, Ends, Facts},
    generation::{Backend, Filter, Frontend, Inspect, LocalGeneration},
    noted,
    notes::Notes,
    policy::{Failed, LocalPlugin},
    record::Record,
    worker::{RequestId, Worker},
};
use crate::{
    config::{AcceptProxy, Mode},
    event_loop::timeout,
    model::{ConnectionVerdict, Fault, Hook, Refusal},
    net::{
        ListenerId, PeerAddress, Stream,
        client_hello::{self, read_client_hello},
        proxy_protocol::{self, BadHeader, Said, read_header},
    },
};

/// Why a connection does not come in.
#[derive(Debug, thiserror::Error)]
enum Turned {
    #[error("{0}")]
    BadHeader(#[from] BadHeader),
    #[error("no whole PROXY header within {limit:?}")]
    HeaderTimedOut { limit: Duration },
    #[error("the client left")]
    Left,
    #[error("a filter refused it")]
    Refused(Refusal),
    #[error("a filter failed, and it is to deny when it does")]
    FilterFailed,
}

/// Lets a connection in that nothing is in the way of; `None` if it was turned away, which is counted and
/// logged. `ends` learns whatever there is to be learnt.
pub(super) async fn enter(
    worker: &Rc<Worker>,
    stream: &Stream,
    ends: &mut Ends,
    listener: ListenerId,
) -> Option<()> {
    let generation = worker.current();
    let used = generation.listener(listener)?;
    let open = used.bind.accept_proxy.is_none();
    if open && !generation.shared.frontends[used.frontend].judges_connections {
        return Some(());
    }
    // In a box, so that a connection without a door does not pay for it.
    Box::pin(pass(worker, generation, stream, ends, listener)).await
}

async fn pass(
    worker: &Rc<Worker>,
    generation: Rc<LocalGeneration>,
    stream: &Stream,
    ends: &mut Ends,
    listener: ListenerId,
) -> Option<()> {
    let id = worker.next_request_id();
    let mut record = Record::begin(tokio::time::Instant::now());
    let used = generation.listener(listener)?;
    let (position, accept) = (used.frontend, used.bind.accept_proxy.as_ref());
    let settings = &generation.shared.frontends[position];
    if settings.judges_connections {
        record.notes = worker.stories.open(&generation.shared.why, &settings.name);
    }
    let turned = match take_header(accept, stream, ends).await {
        Ok(()) => ask_filters(&generation, position, stream, ends, id, &record.notes).await,
        Err(turned) => Err(turned),
    };
    let Err(turned) = turned else {
        record.let_in(worker, &generation.shared, position, ends, id);
        return Some(());
    };
    let frontend = &generation.shared.frontends[position];
    match &turned {
        Turned::BadHeader(_) | Turned::HeaderTimedOut { .. } => {
            frontend.metrics.bad_request();
            record.turned_away(Fault::Client, None);
            info!(frontend = %frontend.name, peer = %ends.peer, "connection refused: {turned}");
        }
        Turned::Left => record.turned_away(Fault::Client, None),
        Turned::Refused(refusal) => {
            frontend.metrics.denied();
            record.turned_away(Fault::Client, Some("refuse"));
            if *refusal == Refusal::Reset {
                stream.reset_on_close();
            }
        }
        Turned::FilterFailed => record.turned_away(Fault::Plugin, None),
    }
    let silent = matches!(turned, Turned::Left) && !frontend.log_empty_connections;
    if !silent {
        record.write_session(worker, &generation.shared, position, ends, ends.vars(), id);
    }
    None
}

/// Takes the PROXY header off the connection, if one is to be there.
async fn take_header(
    accept: Option<&AcceptProxy>,
    stream: &Stream,
    ends: &mut Ends,
) -> Result<(), Turned> {
    let Some(accept) = accept.filter(|accept| ends.speaks_for_others(&accept.from)) else {
        return Ok(());
    };
    let limit = accept.timeout;
    let late = Turned::HeaderTimedOut { limit };
    // Most headers fit into the small one.
    let mut buffer = vec![0; 256];
    let header = match within(limit, header_in(stream, &mut buffer)).await {
        Some(read) => read?,
        None => return Err(late),
    };
    stream.discard(header.length).map_err(|_| Turned::Left)?;
    match header.said {
        Said::Local => {}
        Said::Unknown(tlvs) => ends.brought().proxied = Some(tlvs),
        Said::Proxied { ends: real, tlvs } => {
            ends.are_really(PeerAddress::Ip(real.source), Some(real.destination));
            ends.brought().proxied = Some(tlvs);
        }
    }
    Ok(())
}

async fn header_in(
    stream: &Stream,
    buffer: &mut Vec<u8>,
) -> Result<proxy_protocol::Header, Turned> {
    loop {
        let seen = stream.peek(buffer, |bytes| !matches!(read_header(bytes), Ok(None)));
        let seen = seen.await.map_err(|_| Turned::Left)?;
        match read_header(&buffer[..seen])? {
            Some(header) => return Ok(header),
            None if seen == buffer.len() && seen < proxy_protocol::MOST_BYTES => {
                buffer.resize(proxy_protocol::MOST_BYTES, 0);
            }
            None => return Err(Turned::Left),
        }
    }
}

/// Asks the frontend's connection filters in order, and in front of TCP then those of the backend that comes out. The
/// last to choose a backend wins; a refusal ends the matter.
async fn ask_filters(
    generation: &LocalGeneration,
    position: usize,
    stream: &Stream,
    ends: &mut Ends,
    id: RequestId,
    notes: &Notes,
) -> Result<(), Turned> {
    let shared = &generation.shared;
    let frontend = &shared.frontends[position];
    if !frontend.judges_connections {
        return Ok(());
    }
    let limit = frontend.timeouts.inspect;
    inspect(frontend.inspect, limit, stream, ends).await?;
    ends.brought().id = Some(id);
    let plugins = &generation.frontends[position].filters;
    let asked = Asked {
        generation,
        frontend,
        backend: None,
        id,
        notes,
    };
    asked.ask_each(&frontend.filters, plugins, ends).await?;
    if frontend.mode != Mode::Tcp {
        return Ok(());
    }
    let chosen = ends.chosen_backend(shared).or(frontend.default_backend);
    let Some((chosen, wanted)) = chosen.and_then(|at| Some((at, shared.backends[at].judges?)))
    else {
        return Ok(());
    };
    // What the frontend has seen already is not waited for again.
    if !frontend.inspect.covers(wanted) {
        inspect(frontend.inspect.and(wanted), limit, stream, ends).await?;
    }
    let backend = &shared.backends[chosen];
    let asked = Asked {
        backend: Some(backend),
        ..asked
    };
    let plugins = &generation.backends[chosen].filters;
    asked.ask_each(&backend.filters, plugins, ends).await
}

/// On whose behalf filters are asked.
struct Asked<'a> {
    generation: &'a LocalGeneration,
    frontend: &'a Frontend,
    /// The one that is chosen, for its own filters.
    backend: Option<&'a Backend>,
    id: RequestId,
    notes: &'a Notes,
}

impl Asked<'_> {
    async fn ask_each(
        &self,
        filters: &[Filter],
        plugins: &[LocalPlugin],
        ends: &mut Ends,
    ) -> Result<(), Turned> {
        for (filter, plugin) in filters.iter().zip(plugins) {
            self.ask(filter, plugin, ends).await?;
        }
        Ok(())
    }

    async fn ask(
        &self,
        filter: &Filter,
        plugin: &LocalPlugin,
        ends: &mut Ends,
    ) -> Result<(), Turned> {
        if !plugin.has_hook(Hook::OnConnection) {
            return Ok(());
        }
        let shared = &self.generation.shared;
        let facts = Facts {
            head: None,
            ends,
            frontend: self.frontend.name.as_str(),
            backend: self.backend.map(|backend| backend.name.as_str()),
            vars: ends.vars(),
            request_id: self.id,
            response: None,
            client: None,
            generation: Some(shared),
            notes: self.notes,
        };
        let decision = match noted::on_connection(plugin, &facts).await {
            Ok(decision) => decision,
            Err(Failed) if filter.denies_when_failed() => return Err(Turned::FilterFailed),
            Err(Failed) => return Ok(()),
        };
        let mut vars = ends.vars().clone();
        let set = decision
            .vars
            .iter()
            .try_for_each(|var| edits::set_var(&mut vars, var));
        if let Err(bad) = set {
            let facts = Facts {
                ends,
                vars: ends.vars(),
                ..facts
            };
            plugin.refused(&facts, Hook::OnConnection, &bad);
            if filter.denies_when_failed() {
                return Err(Turned::FilterFailed);
            }
            return Ok(());
        }
        if !decision.vars.is_empty() {
            ends.brought().vars = vars;
        }
        if !decision.held.is_nothing() {
            ends.brought().held.push(decision.held);
        }
        match decision.verdict {
            ConnectionVerdict::Pass => {}
            ConnectionVerdict::UseBackend(index) => {
                let backend = &shared.backends[filter.backends[index]];
                ends.brought().backend = Some(backend.name.clone());
            }
            ConnectionVerdict::Refuse(refusal) => return Err(Turned::Refused(refusal)),
        }
        Ok(())
    }
}

/// Looks at the first bytes, as far as filters have asked for them, for at most `limit`. What has not come by
/// then is not known; servers that speak first make their clients silent for so long.
async fn inspect(
    wanted: Inspect,
    limit: Duration,
    stream: &Stream,
    ends: &mut Ends,
) -> Result<(), Turned> {
    if !wanted.hello && wanted.bytes == 0 {
        return Ok(());
    }
    let most = match wanted.hello {
        true => client_hello::MOST_BYTES.max(wanted.bytes),
        false => wanted.bytes,
    };
    let mut buffer = vec![0; most.min(2048)];
    // What is there when the time is over counts.
    let seen = Cell::new(0);
    let looking = async {
        loop {
            let is_enough = |bytes: &[u8]| {
                seen.set(bytes.len());
                let told = !wanted.hello || !matches!(read_client_hello(bytes), Ok(None));
                told && bytes.len() >= wanted.bytes
            };
            let count = stream.peek(&mut buffer, is_enough).await?;
            seen.set(count);
            let full = count == buffer.len() && count < most;
            let told = !wanted.hello || !matches!(read_client_hello(&buffer[..count]), Ok(None));
            if !full || (told && count >= wanted.bytes) {
                return Ok(());
            }
            buffer.resize(most, 0);
        }
    };
    let looked: Option<std::io::Result<()>> = within(limit, looking).await;
    if let Some(Err(_)) = looked {
        return Err(Turned::Left);
    }
    let seen = seen.get();
    let bytes = &buffer[..seen];
    if seen > 0 {
        let brought = ends.brought();
        if wanted.hello {
            brought.hello = read_client_hello(bytes).ok().flatten();
        }
        brought.first_bytes = bytes[..seen.min(wanted.bytes)].to_vec();
    }
    Ok(())
}

/// The outcome of `work`, or none if it takes longer than `limit`.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout(limit, work).await.ok()
}

impl Ends {
    /// What the connection brought besides its addresses, to be added to.
    fn brought(&mut self) -> &mut Brought {
        self.brought.get_or_insert_default()
    }
}
