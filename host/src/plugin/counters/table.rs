//! A table of counters: what any worker counts, all of them see. Its keys are spread over shards with a lock
//! each, which is held for one addition and never while anybody waits.

use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::config::{CounterTable, WhenFull};

use super::keys::{Keys, Slot};

/// Longer keys are counted under their digest, so that nobody fills the memory with one and none escapes
/// being counted.
pub const KEY_LIMIT: usize = 256;
/// A value may have at most this many bytes.
pub const VALUE_LIMIT: usize = 256;

/// Of keys that nobody used for too long, a new one clears away this many.
const CLEARED: usize = 2;
/// Slots that are looked at under one lock by who wants to see the whole table.
const PAGE: usize = 256;

/// A table as one declaration in weir.toml asks for it. Shared by all that count in it.
///
/// `now` is in milliseconds and comes from [`clock`](super::clock), or from a tool's own for all calls.
pub struct Table {
    declared: CounterTable,
    /// In milliseconds.
    expire: Option<u64>,
    windows: Vec<Option<u64>>,
    shards: Box<[Shard]>,
    hasher: RandomState,
    keys: AtomicUsize,
    evicted: AtomicU64,
    refused: AtomicU64,
}

/// Apart from its neighbours, so that workers that lock different shards do not get in each other's way.
#[repr(align(128))]
struct Shard(Mutex<Keys>);

/// What is held of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: Arc<str>,
    pub value: Option<String>,
    /// `None`: never.
    pub expires_in: Option<Duration>,
    /// In the order of [`Table::counters`]: the rate over its window, or the total.
    pub counts: Vec<u64>,
}

impl Table {
    pub fn new(declared: &CounterTable) -> Self {
        let width = declared.counters.len();
        // Few keys are kept in one exact order; many are spread so that workers seldom meet.
        let shards = match declared.size {
            0..1_024 => 1,
            1_024..16_384 => 8,
            _ => 64,
        };
        let shard = |_| Shard(Mutex::new(Keys::new(width)));
        Self {
            declared: declared.clone(),
            expire: declared.expire.map(milliseconds),
            windows: declared
                .counters
                .iter()
                .map(|counter| counter.window.map(milliseconds))
                .collect(),
            shards: (0..shards).map(shard).collect(),
            hasher: RandomState::new(),
            keys: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub fn name(&self) -> &str {
        &self.declared.name
    }

    pub fn declared(&self) -> &CounterTable {
        &self.declared
    }

    /// Names and windows of its counters, in milliseconds; a total has no window.
    pub fn counters(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        let names = self.declared.counters.iter().map(|c| c.name.as_str());
        names.zip(self.windows.iter().copied())
    }

    /// The position of a counter.
    pub fn counter(&self, name: &str) -> Option<usize> {
        let mut counters = self.declared.counters.iter();
        counters.position(|counter| counter.name == name)
    }

    /// Keys that are held, those included that have expired and have not been cleared away yet.
    pub fn len(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys that had to make place for others.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Keys that found no place.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Adds to a counter of a key, which is there from then on and used just now; adding 0 does no more than
    /// that. Answers with what the counter is then, or `None` if the table is full and refuses new keys.
    pub fn add(&self, counter: usize, key: &str, amount: u64, now: u64) -> Option<u64> {
        self.with(key, now, |keys, slot| {
            let count = keys.count(slot, counter);
            match self.windows[counter] {
                Some(window) => count.add_within(window, now, amount),
                None => count.add(amount),
            }
        })
    }

    /// Whether what is added to a counter lasts as long as a connection.
    pub fn is_held(&self, counter: usize) -> bool {
        self.declared.counters[counter].held
    }

    /// Takes back what was added to a counter. A key that is gone by now took it along.
    pub fn take(&self, counter: usize, key: &str, amount: u64, now: u64) {
        self.look(key, now, |keys, slot| {
            if now > keys.used(slot) {
                keys.touch(slot, now);
            }
            keys.count(slot, counter).take(amount);
        });
    }

    /// What a counter of a key is; `None` if there is no such key. That it was read is no use of a key.
    pub fn read(&self, counter: usize, key: &str, now: u64) -> Option<u64> {
        self.look(key, now, |keys, slot| self.count(keys, slot, counter, now))
    }

    /// In how many milliseconds a counter will be at most `most` if nothing is added: 0 if it is, `None` if it
    /// never will.
    pub fn falls_to(&self, counter: usize, key: &str, most: u64, now: u64) -> Option<u64> {
        let falls = self.look(key, now, |keys, slot| {
            let used = keys.used(slot);
            let count = keys.count(slot, counter);
            match self.windows[counter] {
                Some(window) => Some(count.falls_to(window, now, most)),
                None if count.total() <= most => Some(0),
                // With the key goes the count.
                None => {
                    let expire = self.expire?;
                    Some(expire.saturating_sub(now.saturating_sub(used)))
                }
            }
        });
        falls.unwrap_or(Some(0))
    }

    /// Has a counter be `amount`, as if that had come just now. Whether the key found a place.
    pub fn set(&self, counter: usize, key: &str, amount: u64, now: u64) -> bool {
        let set = |keys: &mut Keys, slot| keys.count(slot, counter).set(now, amount);
        self.with(key, now, set).is_some()
    }

    /// The value kept with a key, which is used by that.
    pub fn value(&self, key: &str, now: u64) -> Option<String> {
        self.look(key, now, |keys, slot| {
            keys.touch(slot, now);
            keys.value(slot).map(str::to_owned)
        })?
    }

    /// Keeps a value with a key, which is there from then on. False if the value is longer than
    /// [`VALUE_LIMIT`] or the key found no place.
    pub fn set_value(&self, key: &str, value: &str, now: u64) -> bool {
        let set = |keys: &mut Keys, slot| keys.set_value(slot, value);
        value.len() <= VALUE_LIMIT && self.with(key, now, set).is_some()
    }

    /// Forgets a key. False if there was none.
    pub fn remove(&self, key: &str, now: u64) -> bool {
        let key = bounded(key);
        let mut keys = self.shard(&key);
        let Some(slot) = keys.find(&key) else {
            return false;
        };
        let was_there = !self.has_expired(&mut keys, slot, now);
        self.drop_slot(&mut keys, slot);
        was_there
    }

    /// Forgets all keys. How many that were.
    pub fn clear(&self) -> usize {
        let mut cleared = 0;
        for shard in &self.shards {
            let mut keys = lock(shard);
            while let Some(slot) = keys.oldest() {
                self.drop_slot(&mut keys, slot);
                cleared += 1;
            }
        }
        cleared
    }

    /// Clears away all keys that have expired.
    pub fn sweep(&self, now: u64) {
        for shard in &self.shards {
            self.clear_expired(&mut lock(shard), usize::MAX, now);
        }
    }

    /// What is held of one key. Looking is no use of it.
    pub fn row(&self, key: &str, now: u64) -> Option<Row> {
        let name: Arc<str> = Arc::from(bounded(key).as_ref());
        self.look(key, now, |keys, slot| self.show(keys, slot, name, now))
    }

    /// What is held, key by key, in no order. The table goes on being used meanwhile: a lock is held for a
    /// few hundred keys at a time, so what comes and goes in between may be seen or not.
    pub fn rows(&self, now: u64) -> Rows<'_> {
        Rows {
            table: self,
            now,
            next: Some((0, 0)),
            page: Vec::new(),
        }
    }

    /// Has `act` use a key, which is made if it is not there. `None` if it found no place.
    fn with<R>(&self, key: &str, now: u64, act: impl FnOnce(&mut Keys, Slot) -> R) -> Option<R> {
        let key = bounded(key);
        let mut keys = self.shard(&key);
        let known = keys.find(&key);
        let slot = match known {
            Some(slot) if !self.has_expired(&mut keys, slot, now) => {
                keys.touch(slot, now);
                slot
            }
            Some(slot) => {
                self.drop_slot(&mut keys, slot);
                self.insert(&mut keys, &key, now)?
            }
            None => self.insert(&mut keys, &key, now)?,
        };
        Some(act(&mut keys, slot))
    }

    /// Has `look` see a key if it is there.
    fn look<R>(&self, key: &str, now: u64, look: impl FnOnce(&mut Keys, Slot) -> R) -> Option<R> {
        let key = bounded(key);
        let mut keys = self.shard(&key);
        let slot = keys.find(&key)?;
        (!self.has_expired(&mut keys, slot, now)).then(|| look(&mut keys, slot))
    }

    fn insert(&self, keys: &mut Keys, key: &str, now: u64) -> Option<Slot> {
        self.clear_expired(keys, CLEARED, now);
        if self.keys.fetch_add(1, Ordering::Relaxed) >= self.declared.size {
            match (self.declared.when_full, keys.oldest()) {
                (WhenFull::Evict, Some(oldest)) => {
                    self.drop_slot(keys, oldest);
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
                // The others are full and this shard is empty: one key too many per shard does no harm.
                (WhenFull::Evict, None) => {}
                (WhenFull::Refuse, _) => {
                    self.keys.fetch_sub(1, Ordering::Relaxed);
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
            }
        }
        let slot = keys.insert(key, now);
        if slot.is_none() {
            self.keys.fetch_sub(1, Ordering::Relaxed);
        }
        slot
    }

    fn clear_expired(&self, keys: &mut Keys, most: usize, now: u64) {
        for _ in 0..most {
            match keys.oldest() {
                Some(oldest) if self.has_expired(keys, oldest, now) => {
                    self.drop_slot(keys, oldest);
                }
                // So that it does not keep those behind it.
                Some(oldest) if self.is_in_use(keys, oldest) && keys.used(oldest) < now => {
                    keys.touch(oldest, now);
                }
                Some(_) | None => return,
            }
        }
    }

    fn drop_slot(&self, keys: &mut Keys, slot: Slot) {
        keys.remove(slot);
        self.keys.fetch_sub(1, Ordering::Relaxed);
    }

    /// A key that counts what is still there stays, however long ago it was used.
    fn has_expired(&self, keys: &mut Keys, slot: Slot, now: u64) -> bool {
        let expire = self.expire;
        expire.is_some_and(|expire| now.saturating_sub(keys.used(slot)) >= expire)
            && !self.is_in_use(keys, slot)
    }

    fn is_in_use(&self, keys: &mut Keys, slot: Slot) -> bool {
        let held = (0..).zip(&self.declared.counters);
        let mut held = held.filter(|(_, counter)| counter.held);
        held.any(|(counter, _)| keys.count(slot, counter).total() > 0)
    }

    fn count(&self, keys: &mut Keys, slot: Slot, counter: usize, now: u64) -> u64 {
        let count = keys.count(slot, counter);
        match self.windows[counter] {
            Some(window) => count.rate(window, now),
            None => count.total(),
        }
    }

    fn show(&self, keys: &mut Keys, slot: Slot, key: Arc<str>, now: u64) -> Row {
        let unused = now.saturating_sub(keys.used(slot));
        Row {
            key,
            value: keys.value(slot).map(str::to_owned),
            expires_in: self
                .expire
                .map(|expire| Duration::from_millis(expire.saturating_sub(unused))),
            counts: (0..self.windows.len())
                .map(|counter| self.count(keys, slot, counter, now))
                .collect(),
        }
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Keys> {
        let shard = match self.shards.len() {
            1 => 0,
            shards => self.hasher.hash_one(key) as usize % shards,
        };
        lock(&self.shards[shard])
    }
}

/// A panic while a lock is held leaves at worst one key out of the order.
fn lock(shard: &Shard) -> MutexGuard<'_, Keys> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bounded(key: &str) -> Cow<'_, str> {
    if key.len() <= KEY_LIMIT {
        return Cow::Borrowed(key);
    }
    let digest = Sha256::digest(key);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Cow::Owned(format!("sha256:{digits}"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("declared", &self.declared)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// All rows of a table.
pub struct Rows<'t> {
    table: &'t Table,
    now: u64,
    /// The shard and the slot in it that come next.
    next: Option<(usize, usize)>,
    page: Vec<Row>,
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        loop {
            if let Some(row) = self.page.pop() {
                return Some(row);
            }
            let (shard, from) = self.next?;
            let Some(locked) = self.table.shards.get(shard) else {
                self.next = None;
                return None;
            };
            let mut keys = lock(locked);
            let (page, more) = keys.page(from, PAGE);
            self.next = Some(more.map_or((shard + 1, 0), |from| (shard, from)));
            for (slot, key) in page {
                if !self.table.has_expired(&mut keys, slot, self.now) {
                    let row = self.table.show(&mut keys, slot, key, self.now);
                    self.page.push(row);
                }
            }
        }
    }
}
