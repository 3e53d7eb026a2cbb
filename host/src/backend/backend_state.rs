//! What all generations of one backend share: its turn, its queue, and the version of its eligible servers.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::{load::Loads, queue::Queue, room::Room};
use crate::model::BackendName;

/// What all generations of one backend share.
#[derive(Debug)]
pub struct BackendState {
    pub name: BackendName,
    version: AtomicU64,
    turn: AtomicU64,
    active: AtomicU32,
    pub(super) loads: Loads,
    /// For backends that have a limit of their own.
    pub room: Room,
    pub(super) queue: Queue,
}

impl BackendState {
    pub fn new(name: BackendName) -> Arc<Self> {
        Arc::new(Self {
            name,
            version: AtomicU64::new(1),
            turn: AtomicU64::new(0),
            active: AtomicU32::new(0),
            loads: Loads::default(),
            room: Room::default(),
            queue: Queue::default(),
        })
    }

    /// Changes whenever a server became eligible or stopped being so. Starts at 1.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn bump(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The number of this pick among all picks of the backend, from 0.
    pub fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Exchanges in this backend, those that wait included.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// Counts an exchange in; returns how many there are now.
    pub fn enter(&self) -> u32 {
        self.active.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Exchanges that wait for a place.
    pub fn queued(&self) -> usize {
        self.queue.len() + self.room.waiting()
    }
}
