//! The resources that an instance holds: few kinds, and not many of them.

use std::time::Duration;

/// Resources alive at a time in one instance. Runtimes hold a handful.
const LIMIT: usize = 1_024;

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Stdout,
    Stderr,
    /// Ready at that time of the monotonic clock.
    Timer(Duration),
    /// A thing that can only be held: a closed input, an error, a network that leads nowhere.
    Husk,
}

/// All handles' resources by their number.
#[derive(Debug, Default)]
pub struct Table {
    slots: Vec<Option<Resource>>,
    free: Vec<u32>,
}

/// No room for another resource.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds {LIMIT} WASI resources at a time, and that is the limit")]
pub struct Full;

impl Table {
    pub fn insert(&mut self, resource: Resource) -> Result<u32, Full> {
        if let Some(at) = self.free.pop() {
            self.slots[at as usize] = Some(resource);
            return Ok(at);
        }
        if self.slots.len() == LIMIT {
            return Err(Full);
        }
        self.slots.push(Some(resource));
        Ok((self.slots.len() - 1) as u32)
    }

    pub fn get(&self, at: u32) -> Option<Resource> {
        *self.slots.get(at as usize)?
    }

    pub fn remove(&mut self, at: u32) {
        if let Some(slot) = self.slots.get_mut(at as usize)
            && slot.take().is_some()
        {
            self.free.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_makes_room_and_no_more_than_that() {
        let mut table = Table::default();
        for _ in 0..LIMIT {
            table.insert(Resource::Husk).unwrap();
        }
        assert_eq!(table.insert(Resource::Stdout), Err(Full));
        table.remove(7);
        table.remove(7);
        table.remove(u32::MAX);
        assert_eq!(table.insert(Resource::Stdout), Ok(7));
        assert_eq!(table.get(7), Some(Resource::Stdout));
        assert_eq!(table.insert(Resource::Stdout), Err(Full));
    }
}
