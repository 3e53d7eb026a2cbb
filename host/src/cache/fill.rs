//! An answer on its way in. It is kept once all of it has come, and not at all otherwise.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Cache, Key, Stored};
use crate::http::{caching::Keepable, response::ResponseHead};

/// Collects one answer. Dropping it forgets what came.
#[derive(Debug)]
pub struct Fill {
    cache: Arc<Cache>,
    key: Key,
    number: u64,
    head: ResponseHead,
    kept: Option<Keepable>,
    since: Instant,
    body: Vec<u8>,
    /// What was reserved for the body.
    reserved: usize,
}

impl Fill {
    pub(super) fn new(
        cache: Arc<Cache>,
        key: Key,
        number: u64,
        head: &ResponseHead,
        kept: Keepable,
        since: Instant,
    ) -> Self {
        Self {
            cache,
            key,
            number,
            head: head.clone(),
            kept: Some(kept),
            since,
            body: Vec::new(),
            reserved: 0,
        }
    }

    /// Takes a piece of the body. False if it has become too much; then nothing will be kept.
    pub fn put(&mut self, data: &[u8]) -> bool {
        let fits = self.body.len() + data.len() <= self.cache.settings().max_object;
        if !fits || self.kept.is_none() || !self.cache.reserve(data.len()) {
            self.kept = None;
            return false;
        }
        self.reserved += data.len();
        self.body.extend_from_slice(data);
        true
    }

    /// Whether the body is as long as its head says. Trailers may follow, which a cache may do without
    /// (RFC 9111 §3).
    pub fn is_whole(&self) -> bool {
        self.head.length() == Some(self.body.len() as u64)
    }

    /// The body has ended.
    pub fn keep(mut self) {
        let Some(kept) = self.kept.take() else {
            return;
        };
        // What is counted is what is there.
        self.body.shrink_to_fit();
        let stored = Stored {
            head: std::mem::take(&mut self.head),
            body: std::mem::take(&mut self.body).into(),
            kept,
            since: self.since,
        };
        let evicted = self
            .cache
            .shard(&self.key)
            .insert(&self.key, self.number, Arc::new(stored));
        if let Some(evicted) = evicted {
            self.cache.metrics.stored();
            self.cache.metrics.evicted(evicted);
        }
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        self.cache.release(self.reserved);
        self.cache.shard(&self.key).end(&self.key, self.number);
    }
}
