//! Counters: tables in which plugins count by key, shared by all workers and by the generations that declare
//! them alike. The stick tables of other proxies, without what decides about anything.
//!
//! What is counted stays in this process.

mod consulted;
mod hold;
mod imports;
mod keys;
mod table;
#[cfg(test)]
mod tests;
mod window;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Weak},
    time::Instant,
};

use crate::config::CounterTable;

pub(super) use consulted::Prompter;
pub use consulted::{Consulted, Question, Told};
pub(super) use hold::Hold;
pub(super) use imports::link;
pub use table::{KEY_LIMIT, Row, Rows, Table, VALUE_LIMIT};

/// All tables of a configuration, by name.
#[derive(Debug, Default)]
pub struct CounterStore {
    tables: Vec<Arc<Table>>,
}

impl CounterStore {
    /// Tables as declared; those that `known` has already are taken up as they are.
    pub fn of(declared: &[CounterTable], known: &mut KnownTables) -> Self {
        let tables = declared.iter().map(|declared| known.table(declared));
        Self {
            tables: tables.collect(),
        }
    }

    /// Empty tables as these are declared, which nobody else counts in.
    pub fn apart(&self) -> Self {
        let alike = |table: &Arc<Table>| Arc::new(Table::new(table.declared()));
        Self {
            tables: self.tables.iter().map(alike).collect(),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.iter().find(|table| table.name() == name)
    }

    /// In the order of the file.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.iter()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|table| table.name())
    }
}

/// The tables that some generation still has, by their declarations: with another size or other counters it
/// is another table. Holds none alive by itself.
#[derive(Debug, Default)]
pub struct KnownTables {
    tables: HashMap<CounterTable, Weak<Table>>,
}

impl KnownTables {
    fn table(&mut self, declared: &CounterTable) -> Arc<Table> {
        if let Some(known) = self.tables.get(declared).and_then(Weak::upgrade) {
            return known;
        }
        let table = Arc::new(Table::new(declared));
        self.tables.insert(declared.clone(), Arc::downgrade(&table));
        table
    }

    /// Forgets what nobody has any more.
    pub fn sweep(&mut self) {
        self.tables.retain(|_, table| table.strong_count() > 0);
    }
}

/// The time that tables go by, in milliseconds from some moment on. It never goes back.
pub fn clock() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
