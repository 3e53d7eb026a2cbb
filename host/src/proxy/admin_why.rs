//! What administrators can ask about exchanges: the stories that were kept, and recordings of decisions.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper::{
    Response, StatusCode,
    body::{Bytes, Frame},
    header::{self, HeaderValue},
};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    task::spawn_local,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::info;

use super::admin::{Admin, Answer, json_answer, text};
use crate::{
    config::read_duration,
    frontend::{Busy, Generation, Recording, uses},
    http::facts::query_param,
    model::{NoShare, Share},
    telemetry::story::{Mask, RECORD_VERSION, RecordHead, RecordLine, Story},
};

/// How often what workers have recorded is fetched. They are never made to wake anybody.
const FETCH: Duration = Duration::from_millis(50);
/// Stories in a list that does not say how many it wants.
const USUAL_LIST: usize = 50;

/// Answers `GET /why`, `GET /why/ID` and `GET /record`.
pub fn answer(admin: &Admin, path: &str, query: Option<&str>) -> Answer {
    let query = query.unwrap_or_default();
    let answered = match path.strip_prefix("/why/") {
        Some(id) => Ok(story(admin, id)),
        None if path == "/why" => list(admin, query),
        None => record(admin, query),
    };
    answered.unwrap_or_else(|why| text(StatusCode::BAD_REQUEST, format!("{why}\n")))
}

fn story(admin: &Admin, id: &str) -> Answer {
    if let Some(kept) = admin.process.stories.find(id) {
        let mut answer = text(StatusCode::OK, kept.json.to_vec());
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
        return answer;
    }
    let generation = admin.current.borrow();
    let why = &generation.why;
    let failures = match why.failures {
        true => ", and those that failed",
        false => "",
    };
    text(
        StatusCode::NOT_FOUND,
        format!(
            "no story of `{}` is kept: of all requests {}{failures} are, the last {} on each worker\n",
            id.escape_default(),
            why.share,
            why.keep
        ),
    )
}

fn list(admin: &Admin, query: &str) -> Result<Answer, String> {
    only_known(query, &["limit", "failed"])?;
    let limit = match query_param(query, "limit") {
        None => USUAL_LIST,
        Some(limit) => limit
            .parse()
            .map_err(|_| format!("`limit` is no number: `{}`", limit.escape_default()))?,
    };
    let only_failed = query_param(query, "failed").is_some();
    let (stories, untold) = admin.process.stories.all();
    let told = stories
        .iter()
        .filter_map(|kept| serde_json::from_slice::<Story>(&kept.json).ok())
        .filter(|story| !only_failed || story.kept == crate::telemetry::story::Kept::Failed)
        .take(limit)
        .map(|story| summary(&story));
    let told: Vec<Value> = told.collect();
    Ok(json_answer(&json!({
        "stories": told,
        "untold_failures": untold,
    })))
}

fn summary(story: &Story) -> Value {
    let request = story.request.as_ref();
    json!({
        "id": story.id,
        "at": story.at,
        "kept": story.kept,
        "frontend": story.frontend,
        "client": story.client,
        "request": request.map(|request| format!("{} {}", request.method, request.target)),
        "backend": story.outcome.backend,
        "server": story.outcome.server,
        "status": story.outcome.status,
        "verdict": story.outcome.verdict,
        "fault": story.outcome.fault,
        "error": story.outcome.error,
        "steps": story.steps.len(),
        "total_us": story.outcome.times.total,
    })
}

/// Refuses parameters that mean nothing here.
fn only_known(query: &str, known: &[&str]) -> Result<(), String> {
    let names = query.split('&').filter(|pair| !pair.is_empty());
    for name in names.map(|pair| pair.split('=').next().unwrap_or_default()) {
        if !known.contains(&name) {
            return Err(format!(
                "unknown parameter `{}`; there are {}",
                name.escape_default(),
                known.join(", ")
            ));
        }
    }
    Ok(())
}

/// Streams decisions as they are made, until the time is over or nobody reads any more.
fn record(admin: &Admin, query: &str) -> Result<Answer, String> {
    only_known(query, &["for", "share", "frontend", "plugin", "secrets"])?;
    let param = |name| query_param(query, name).map(|value| value.into_owned());
    let share = match param("share") {
        Some(share) => share
            .parse()
            .map_err(|bad: NoShare| format!("`share` {bad}"))?,
        None => Share::ALL,
    };
    let until = match param("for") {
        Some(time) => {
            let time = read_duration(&time).map_err(|why| format!("`for`: {why}"))?;
            Some(Instant::now() + time)
        }
        None => None,
    };
    let generation = Arc::clone(&admin.current.borrow());
    let mask = match param("secrets").as_deref() {
        None | Some("mask") => Mask::secrets(&generation.why.mask),
        Some("show") => Mask::Nothing,
        Some(_) => return Err("`secrets` is `mask` or `show`".to_owned()),
    };
    let head = head(
        &generation,
        &mask,
        share,
        param("frontend"),
        param("plugin"),
    )?;
    let recording = Recording::new(share, head.frontend.clone(), head.plugin.clone(), mask);
    let stories = Arc::clone(&admin.process.stories);
    let recording = match stories.record(recording) {
        Ok(recording) => recording,
        Err(Busy) => {
            let why = "a recording is running already; one at a time\n";
            return Ok(text(StatusCode::CONFLICT, why));
        }
    };
    info!(%share, frontend = head.frontend, plugin = head.plugin, masked = head.masked, "recording decisions");
    let (lines, body) = mpsc::channel(1);
    spawn_local(async move {
        // Whoever asked may go at any time, which is one of the ways to end it.
        let _ = pump(&recording, RecordLine::Record(head), until, &lines).await;
        stories.stop(&recording);
        let end = recording.end();
        info!(
            exchanges = end.exchanges,
            lost = end.lost,
            "recording ended"
        );
        let mut last = recording.take();
        push_line(&mut last, &RecordLine::End(end));
        let _ = lines.send(last.into()).await;
    });
    let mut answer = Response::new(Body::Lines(body));
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/jsonl"),
    );
    Ok(answer)
}

fn head(
    generation: &Generation,
    mask: &Mask,
    share: Share,
    frontend: Option<String>,
    plugin: Option<String>,
) -> Result<RecordHead, String> {
    let uses = uses(generation, mask);
    if let Some(wanted) = &frontend {
        let mut names = generation.frontends.iter().map(|f| f.name.as_str());
        if !names.any(|name| name == wanted) {
            let names = generation.frontends.iter().map(|f| f.name.as_str());
            return Err(unknown("frontend", wanted, names.collect()));
        }
    }
    if let Some(wanted) = &plugin
        && !uses
            .iter()
            .any(|it| it.plugin == *wanted || it.place == *wanted)
    {
        let mut names: Vec<&str> = uses.iter().map(|it| it.plugin.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        return Err(unknown("plugin", wanted, names));
    }
    Ok(RecordHead {
        version: RECORD_VERSION,
        weir: env!("CARGO_PKG_VERSION").to_owned(),
        at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
            }),
        share: share.to_string(),
        masked: matches!(mask, Mask::Secrets(_)),
        frontend,
        plugin,
        uses,
    })
}

fn unknown(what: &str, wanted: &str, names: Vec<&str>) -> String {
    format!(
        "no {what} is called `{}`; there are {}",
        wanted.escape_default(),
        names.join(", ")
    )
}

/// Nobody reads the recording any more.
struct Gone;

/// Passes on what is recorded. A reader that is slow makes the recording's own buffer run full, and no more.
async fn pump(
    recording: &Recording,
    head: RecordLine,
    until: Option<Instant>,
    lines: &mpsc::Sender<Bytes>,
) -> Result<(), Gone> {
    let mut first = Vec::new();
    push_line(&mut first, &head);
    lines.send(first.into()).await.map_err(|_| Gone)?;
    let mut ticks = interval(FETCH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while until.is_none_or(|until| Instant::now() < until) {
        ticks.tick().await;
        if lines.is_closed() {
            return Err(Gone);
        }
        let recorded = recording.take();
        if !recorded.is_empty() {
            lines.send(recorded.into()).await.map_err(|_| Gone)?;
        }
    }
    Ok(())
}

fn push_line(out: &mut Vec<u8>, line: &RecordLine) {
    serde_json::to_writer(&mut *out, line).expect("writing to memory cannot fail");
    out.push(b'\n');
}

/// What an administrator is sent.
#[derive(Debug)]
pub enum Body {
    Whole(Bytes),
    Lines(mpsc::Receiver<Bytes>),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Lines(lines) => lines
                .poll_recv(cx)
                .map(|bytes| Some(Ok(Frame::data(bytes?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => hyper::body::SizeHint::with_exact(bytes.len() as u64),
            Self::Lines(_) => hyper::body::SizeHint::new(),
        }
    }
}
