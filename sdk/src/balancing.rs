//! What a balancer is told.

use std::num::NonZeroU32;

use crate::{hook::OnPick, values::Values};

/// A server that may be picked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: String,
    /// Stays the same when servers are added or removed: the configured id, else the position from 1.
    pub id: u32,
    /// 1 to 256.
    pub weight: u32,
    /// How many exchanges it takes at a time.
    pub limit: Option<NonZeroU32>,
}

impl Server {
    /// Whether a server with this load can take another exchange at once.
    #[inline]
    pub fn has_room(&self, load: u32) -> bool {
        self.limit.is_none_or(|limit| load < limit.get())
    }
}

/// One question to a balancer.
#[derive(Debug, Clone, Copy)]
pub struct Pick<'a> {
    /// Counts the picks of this backend over all workers, so that rotation is one rotor however many
    /// instances there are.
    pub turn: u64,
    pub values: Values<'a, OnPick>,
    /// Per server the exchanges it runs and those queued for it; empty if [`Needs::loads`](crate::Needs::loads)
    /// was not asked for.
    pub loads: &'a [u32],
    /// The servers that this exchange has already failed on. Mostly empty.
    pub tried: &'a [u32],
}

impl Pick<'_> {
    /// The question where nothing but the turn is known.
    #[inline]
    pub(crate) fn in_turn(turn: u64) -> Self {
        Self {
            turn,
            values: Values::new(&[]),
            loads: &[],
            tried: &[],
        }
    }

    /// Whether this exchange has already failed on that server.
    #[inline]
    pub fn has_tried(&self, server: usize) -> bool {
        self.tried.iter().any(|&tried| tried as usize == server)
    }

    /// The load of that server; 0 if loads were not asked for.
    #[inline]
    pub fn load(&self, server: usize) -> u32 {
        self.loads.get(server).copied().unwrap_or(0)
    }
}

/// How an exchange with a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Success,
    ConnectFailed,
    TimedOut,
    ServerError,
    Aborted,
}
