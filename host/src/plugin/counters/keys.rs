//! The keys of one shard of a table with what was counted of each, in the order in which they were last
//! used. Knows nothing of locks and of how many keys there may be.

use std::{collections::HashMap, sync::Arc};

use super::window::Count;

/// The end of the order.
const NOBODY: u32 = u32::MAX;

/// A key's place in its shard. Good until the key is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u32);

#[derive(Debug)]
pub(super) struct Keys {
    slots: HashMap<Arc<str>, u32>,
    held: Vec<Held>,
    /// Those of the first slot, then those of the second, and so on.
    counts: Vec<Count>,
    /// Of each slot.
    width: usize,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
}

#[derive(Debug)]
struct Held {
    /// `None`: the slot is free.
    key: Option<Arc<str>>,
    value: Option<Box<str>>,
    used: u64,
    newer: u32,
    older: u32,
}

impl Keys {
    /// For keys that have `width` counters each.
    pub fn new(width: usize) -> Self {
        Self {
            slots: HashMap::new(),
            held: Vec::new(),
            counts: Vec::new(),
            width,
            free: Vec::new(),
            newest: NOBODY,
            oldest: NOBODY,
        }
    }

    pub fn find(&self, key: &str) -> Option<Slot> {
        self.slots.get(key).copied().map(Slot)
    }

    /// Adds a key that is not there yet, as the newest. `None` if there are more than can be numbered.
    pub fn insert(&mut self, key: &str, now: u64) -> Option<Slot> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.held.len()).ok();
                let slot = slot.filter(|slot| *slot != NOBODY)?;
                self.held.push(Held {
                    key: None,
                    value: None,
                    used: now,
                    newer: NOBODY,
                    older: NOBODY,
                });
                let counts = self.counts.len() + self.width;
                self.counts.resize(counts, Count::new(now));
                slot
            }
        };
        let key: Arc<str> = Arc::from(key);
        self.held[slot as usize].key = Some(Arc::clone(&key));
        self.held[slot as usize].value = None;
        self.counts_of(Slot(slot)).fill(Count::new(now));
        self.slots.insert(key, slot);
        self.link(slot, now);
        Some(Slot(slot))
    }

    /// Makes the key the newest.
    pub fn touch(&mut self, slot: Slot, now: u64) {
        if self.newest != slot.0 {
            self.unlink(slot.0);
            self.link(slot.0, now);
        }
        self.held[slot.0 as usize].used = now;
    }

    pub fn remove(&mut self, slot: Slot) {
        self.unlink(slot.0);
        let held = &mut self.held[slot.0 as usize];
        held.value = None;
        if let Some(key) = held.key.take() {
            self.slots.remove(&key);
        }
        self.free.push(slot.0);
    }

    /// The key that has not been used for longest.
    pub fn oldest(&self) -> Option<Slot> {
        (self.oldest != NOBODY).then_some(Slot(self.oldest))
    }

    pub fn used(&self, slot: Slot) -> u64 {
        self.held[slot.0 as usize].used
    }

    pub fn count(&mut self, slot: Slot, position: usize) -> &mut Count {
        &mut self.counts[slot.0 as usize * self.width + position]
    }

    pub fn counts_of(&mut self, slot: Slot) -> &mut [Count] {
        let start = slot.0 as usize * self.width;
        &mut self.counts[start..start + self.width]
    }

    pub fn value(&self, slot: Slot) -> Option<&str> {
        self.held[slot.0 as usize].value.as_deref()
    }

    pub fn set_value(&mut self, slot: Slot, value: &str) {
        let held = &mut self.held[slot.0 as usize].value;
        // Mostly it is what was there already.
        if held.as_deref() != Some(value) {
            *held = Some(Box::from(value));
        }
    }

    /// The keys in the slots from `from` on, over at most `slots` slots, and how to go on; `None` if there are
    /// no more.
    pub fn page(&self, from: usize, slots: usize) -> (Vec<(Slot, Arc<str>)>, Option<usize>) {
        let end = from.saturating_add(slots).min(self.held.len());
        let keys = (from..end).filter_map(|slot| {
            let key = Arc::clone(self.held[slot].key.as_ref()?);
            Some((Slot(u32::try_from(slot).ok()?), key))
        });
        (keys.collect(), (end < self.held.len()).then_some(end))
    }

    fn link(&mut self, slot: u32, now: u64) {
        let before = std::mem::replace(&mut self.newest, slot);
        let held = &mut self.held[slot as usize];
        (held.newer, held.older, held.used) = (NOBODY, before, now);
        match self.held.get_mut(before as usize) {
            Some(before) => before.newer = slot,
            None => self.oldest = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Held { newer, older, .. } = self.held[slot as usize];
        match self.held.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.held.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(keys: &mut Keys) -> String {
        let mut order = String::new();
        while let Some(oldest) = keys.oldest() {
            let key = keys.held[oldest.0 as usize].key.clone();
            order.push_str(&key.expect("what is linked has a key"));
            keys.remove(oldest);
        }
        order
    }

    #[test]
    fn keys_leave_in_the_order_they_were_last_used() {
        let mut keys = Keys::new(1);
        for (now, key) in (0..).zip(["a", "b", "c", "d"]) {
            keys.insert(key, now);
        }
        for key in ["b", "b", "d", "a"] {
            let slot = keys.find(key).unwrap();
            keys.touch(slot, 10);
        }
        let c = keys.find("c").unwrap();
        keys.remove(c);
        keys.insert("e", 11);
        assert_eq!(order(&mut keys), "bdae");
        assert_eq!(keys.find("a"), None);
        assert!(keys.oldest().is_none());
    }

    #[test]
    fn a_slot_that_is_used_again_remembers_nothing() {
        let mut keys = Keys::new(2);
        let slot = keys.insert("a", 0).unwrap();
        keys.count(slot, 1).add(7);
        keys.set_value(slot, "web1");
        keys.remove(slot);
        let slot = keys.insert("b", 5).unwrap();
        assert_eq!(keys.count(slot, 1).total(), 0);
        assert_eq!(keys.value(slot), None);
        assert_eq!(keys.held.len(), 1, "the slot was free");
    }

    #[test]
    fn pages_go_over_all_keys_once() {
        let mut keys = Keys::new(0);
        for key in ["a", "b", "c", "d", "e"] {
            keys.insert(key, 0);
        }
        let gone = keys.find("b").unwrap();
        keys.remove(gone);
        let (mut seen, mut next) = (String::new(), Some(0));
        while let Some(from) = next {
            let (page, more) = keys.page(from, 2);
            page.iter().for_each(|(_, key)| seen.push_str(key));
            next = more;
        }
        assert_eq!(seen, "acde");
    }
}
