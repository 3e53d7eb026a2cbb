//! A part of a cache: answers by key and, under one key, by what they vary with. The room is bounded; what was
//! not asked for since its turn came last makes way first.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::{Key, Stored};
use crate::http::request::RequestHead;

/// Answers under one key. More of them displace the oldest.
const VARIANTS: usize = 16;

#[derive(Debug)]
pub struct Shard {
    room: usize,
    bytes: usize,
    count: usize,
    entries: HashMap<Key, Vec<Variant>>,
    /// What is on its way in, by its number.
    coming: HashMap<Key, u64>,
    /// Who is to make way, first come first.
    turns: VecDeque<(Key, u64)>,
    next: u64,
}

#[derive(Debug)]
struct Variant {
    number: u64,
    stored: Arc<Stored>,
    size: usize,
    /// Somebody asked for it since its last turn.
    used: bool,
}

impl Shard {
    pub fn new(room: usize) -> Self {
        Self {
            room,
            bytes: 0,
            count: 0,
            entries: HashMap::new(),
            coming: HashMap::new(),
            turns: VecDeque::new(),
            next: 0,
        }
    }

    /// The answer for a request like this, if it is still fresh.
    pub fn find(&mut self, key: &Key, request: &RequestHead, now: Instant) -> Option<Arc<Stored>> {
        let variants = self.entries.get_mut(key)?;
        let found = variants
            .iter_mut()
            .find(|variant| variant.stored.variation().matches(request))?;
        if found.stored.fresh_for(now).is_zero() {
            let number = found.number;
            self.remove(key, number);
            return None;
        }
        found.used = true;
        Some(Arc::clone(&found.stored))
    }

    /// Lets one answer at a time come in under a key, and gives it its number.
    pub fn begin(&mut self, key: &Key) -> Option<u64> {
        if self.coming.contains_key(key) {
            return None;
        }
        self.next += 1;
        self.coming.insert(key.clone(), self.next);
        Some(self.next)
    }

    /// What was begun under this number is over.
    pub fn end(&mut self, key: &Key, number: u64) {
        if self.coming.get(key) == Some(&number) {
            self.coming.remove(key);
        }
    }

    /// Puts an answer in and says how many made way for it. `None` if its key was forgotten meanwhile, or it
    /// is too large.
    pub fn insert(&mut self, key: &Key, number: u64, stored: Arc<Stored>) -> Option<usize> {
        let size = stored.size(key);
        if self.coming.get(key) != Some(&number) || size > self.room {
            return None;
        }
        let same = self.entries.get(key).and_then(|variants| {
            let same = variants
                .iter()
                .find(|variant| variant.stored.variation() == stored.variation());
            let most = variants.first().filter(|_| variants.len() >= VARIANTS);
            same.or(most).map(|variant| variant.number)
        });
        if let Some(number) = same {
            self.remove(key, number);
        }
        let mut evicted = 0;
        while self.bytes + size > self.room && self.evict() {
            evicted += 1;
        }
        let variants = self.entries.entry(key.clone()).or_default();
        variants.push(Variant {
            number,
            stored,
            size,
            used: false,
        });
        self.bytes += size;
        self.count += 1;
        self.turns.push_back((key.clone(), number));
        self.forget_old_turns();
        Some(evicted)
    }

    pub fn forget(&mut self, key: &Key) -> bool {
        self.coming.remove(key);
        let Some(variants) = self.entries.remove(key) else {
            return false;
        };
        self.count -= variants.len();
        self.bytes -= variants.iter().map(|variant| variant.size).sum::<usize>();
        true
    }

    pub fn clear(&mut self) -> usize {
        let count = self.count;
        *self = Self {
            next: self.next,
            ..Self::new(self.room)
        };
        count
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    /// Takes the first out that was not used since its last turn. False if there is none at all.
    fn evict(&mut self) -> bool {
        while let Some((key, number)) = self.turns.pop_front() {
            let variants = self.entries.get_mut(&key);
            let variant = variants.and_then(|all| all.iter_mut().find(|v| v.number == number));
            match variant {
                Some(variant) if variant.used => {
                    variant.used = false;
                    self.turns.push_back((key, number));
                }
                Some(_) => {
                    self.remove(&key, number);
                    return true;
                }
                // It has gone in another way.
                None => {}
            }
        }
        false
    }

    fn remove(&mut self, key: &Key, number: u64) {
        let Some(variants) = self.entries.get_mut(key) else {
            return;
        };
        let position = variants.iter().position(|v| v.number == number);
        if let Some(position) = position {
            self.bytes -= variants.remove(position).size;
            self.count -= 1;
        }
        if variants.is_empty() {
            self.entries.remove(key);
        }
    }

    /// Turns of what has gone are taken out once they are more than half.
    fn forget_old_turns(&mut self) {
        if self.turns.len() <= 2 * self.count + 64 {
            return;
        }
        let entries = &self.entries;
        self.turns.retain(|(key, number)| {
            let variants = entries.get(key);
            variants.is_some_and(|all| all.iter().any(|v| v.number == *number))
        });
    }
}
