//! What was added to a counter for as long as a connection lasts. Does not know which connection that is: whoever has
//! the hold keeps it until then.

use std::sync::Arc;

use super::{Table, clock};

/// Takes back what was added when it is dropped.
#[derive(Debug)]
pub struct Hold {
    pub table: Arc<Table>,
    pub counter: usize,
    pub key: String,
    pub amount: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.table
            .take(self.counter, &self.key, self.amount, clock());
    }
}
