//! Whole answers in memory, shared by all workers. Knows where they are and how much room they take; what may be
//! kept and given is for `http::caching` to say.
//!
//! A worker that looks something up or puts something in holds the lock of one of the shards for as long as a
//! look into a table takes; nothing is copied and nothing waited for meanwhile.

mod fill;
mod shard;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::time::{Duration, Instant};

use crate::{
    config,
    http::{
        caching::{Keepable, Terms, Variation},
        request::RequestHead,
        response::ResponseHead,
    },
    telemetry::CacheMetrics,
};

pub use self::fill::Fill;
use self::shard::Shard;

/// Locks to spread over. A shard has at least room for a few of the largest answers.
const SHARDS: usize = 16;
const OF_THE_LARGEST: usize = 8;

/// What names an answer: where it comes from and what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The parts stand apart by a byte that none of them can have. The host's case and the scheme's own port do
    /// not count. `None`: the client did not say whom it asks.
    pub fn new(backend: &str, scheme: &str, head: &RequestHead) -> Option<Self> {
        let target = [head.raw_path(), head.query().map_or("", |_| "?")].concat();
        let target = format!("{target}{}", head.query().unwrap_or_default());
        Some(Self::of(backend, scheme, head.authority()?, &target))
    }

    fn of(backend: &str, scheme: &str, authority: &str, target: &str) -> Self {
        let own_port = match scheme {
            "https" => ":443",
            _ => ":80",
        };
        let authority = authority.to_ascii_lowercase();
        let host = authority.strip_suffix(own_port).unwrap_or(&authority);
        let host = host.strip_suffix(':').unwrap_or(host);
        let text = [backend, scheme, host, target].join("\n");
        Self(text.into_bytes().into())
    }

    /// The key of what a Location or Content-Location of the answer names, if that is of the same origin.
    pub fn beside(backend: &str, scheme: &str, head: &RequestHead, location: &str) -> Option<Self> {
        let location = location.split('#').next()?;
        let authority = head.authority()?;
        let own = Self::of(backend, scheme, authority, "");
        let (other, target) = match location.split_once("://") {
            Some((other_scheme, rest)) if other_scheme.eq_ignore_ascii_case(scheme) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                rest.split_at(end)
            }
            Some(_) => return None,
            None if location.starts_with('/') && !location.starts_with("//") => {
                (authority, location)
            }
            None => return None,
        };
        let target = match target {
            "" => "/".to_owned(),
            target if target.starts_with('?') => format!("/{target}"),
            target => target.to_owned(),
        };
        (Self::of(backend, scheme, other, "") == own)
            .then(|| Self::of(backend, scheme, other, &target))
    }
}

/// An answer as its server gave it.
#[derive(Debug)]
pub struct Stored {
    pub head: ResponseHead,
    pub body: Bytes,
    kept: Keepable,
    /// When it came.
    since: Instant,
}

impl Stored {
    /// How old it is, as clients are to be told.
    pub fn age(&self, now: Instant) -> Duration {
        self.kept.age + now.saturating_duration_since(self.since)
    }

    fn fresh_for(&self, now: Instant) -> Duration {
        let until = self.since + self.kept.fresh_for;
        until.saturating_duration_since(now)
    }

    fn variation(&self) -> &Variation {
        &self.kept.variation
    }

    /// The memory that it takes, more or less.
    fn size(&self, key: &Key) -> usize {
        const BESIDES: usize = 512;
        let head = self.head.fields.capacity();
        BESIDES + key.0.len() + head + self.body.len() + self.variation().size()
    }
}

/// What a lookup found.
#[derive(Debug)]
pub enum Found {
    Fresh(Arc<Stored>),
    Nothing,
}

/// A named cache.
#[derive(Debug)]
pub struct Cache {
    settings: config::Cache,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    /// Bytes of bodies that are on their way in.
    filling: AtomicUsize,
    pub metrics: Arc<CacheMetrics>,
}

impl Cache {
    pub fn new(settings: config::Cache, metrics: Arc<CacheMetrics>) -> Self {
        let shards = settings.max_size / (settings.max_object * OF_THE_LARGEST);
        let shards = shards.clamp(1, SHARDS);
        let room = settings.max_size / shards;
        Self {
            settings,
            hasher: RandomState::new(),
            shards: (0..shards).map(|_| Mutex::new(Shard::new(room))).collect(),
            filling: AtomicUsize::new(0),
            metrics,
        }
    }

    pub fn settings(&self) -> &config::Cache {
        &self.settings
    }

    /// What is kept under `key` for a request like this.
    pub fn find(&self, key: &Key, request: &RequestHead, terms: &Terms, now: Instant) -> Found {
        self.metrics.looked_up();
        let found = self.shard(key).find(key, request, now);
        let suits = |stored: &Arc<Stored>| {
            (stored.kept.even_with_credentials || !terms.has_credentials)
                && terms.take(stored.age(now), stored.fresh_for(now))
        };
        match found.filter(suits) {
            Some(stored) => {
                self.metrics.hit();
                Found::Fresh(stored)
            }
            None => Found::Nothing,
        }
    }

    /// Begins to keep an answer. `None`: too large, somebody else is at it, or too much is on its way in.
    pub fn fill(
        self: &Arc<Self>,
        key: Key,
        head: &ResponseHead,
        kept: Keepable,
        now: Instant,
    ) -> Option<Fill> {
        let length = head.length().unwrap_or(0);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.settings.max_object {
            return None;
        }
        let number = self.shard(&key).begin(&key)?;
        Some(Fill::new(Arc::clone(self), key, number, head, kept, now))
    }

    /// Forgets what is kept under `key`, and what is on its way in.
    pub fn forget(&self, key: &Key) {
        if self.shard(key).forget(key) {
            self.metrics.invalidated();
        }
    }

    /// Forgets everything. Says how many answers that were.
    pub fn purge(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| lock(shard).clear()).sum()
    }

    /// How many answers there are, and the bytes that they take.
    pub fn contents(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(count, bytes), shard| {
            let shard = lock(shard);
            (count + shard.len(), bytes + shard.bytes())
        })
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key);
        // The table inside goes by other bits of a hash of its own.
        lock(&self.shards[(hash >> 32) as usize % self.shards.len()])
    }

    /// Makes room for bytes of a body that is on its way in. False if there is too much of that already.
    fn reserve(&self, bytes: usize) -> bool {
        let before = self.filling.fetch_add(bytes, Ordering::Relaxed);
        let most = self.settings.max_size / 2;
        if before + bytes > most {
            self.release(bytes);
            return false;
        }
        true
    }

    fn release(&self, bytes: usize) {
        self.filling.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A shard is whole between any two statements, so a panic elsewhere does not matter.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
