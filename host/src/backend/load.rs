//! How busy servers are. The numbers of a backend's servers stand side by side, so that a look at hundreds of
//! them goes over few cache lines.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Loads that stand side by side.
const ROW: usize = 64;
/// In the lower half are the exchanges that run, in the upper half those that wait.
const ONE_ACTIVE: u64 = 1;
const ONE_QUEUED: u64 = 1 << 32;

#[derive(Debug)]
struct Row([AtomicU64; ROW]);

/// What one server has to do; clones count the same.
#[derive(Debug, Clone)]
pub struct Load {
    row: Arc<Row>,
    place: usize,
}

impl Load {
    /// Exchanges that run.
    pub fn active(&self) -> u32 {
        self.both() as u32
    }

    /// Exchanges that wait for this server and no other.
    pub fn queued(&self) -> u32 {
        (self.both() >> 32) as u32
    }

    /// Both together, which is what balancers go by.
    pub fn sum(&self) -> u32 {
        sum(self.cell())
    }

    pub(super) fn begin(&self) {
        self.cell().fetch_add(ONE_ACTIVE, Ordering::SeqCst);
    }

    /// Begins an exchange if fewer than `limit` run.
    pub(super) fn begin_under(&self, limit: u32) -> bool {
        let begin = |both: u64| ((both as u32) < limit).then_some(both + ONE_ACTIVE);
        self.cell()
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, begin)
            .is_ok()
    }

    pub(super) fn end(&self) {
        self.cell().fetch_sub(ONE_ACTIVE, Ordering::SeqCst);
    }

    pub(super) fn join_queue(&self) {
        self.cell().fetch_add(ONE_QUEUED, Ordering::Relaxed);
    }

    pub(super) fn leave_queue(&self) {
        self.cell().fetch_sub(ONE_QUEUED, Ordering::Relaxed);
    }

    fn both(&self) -> u64 {
        self.cell().load(Ordering::Relaxed)
    }

    fn cell(&self) -> &AtomicU64 {
        &self.row.0[self.place]
    }
}

fn sum(cell: &AtomicU64) -> u32 {
    let both = cell.load(Ordering::Relaxed);
    (both as u32).saturating_add((both >> 32) as u32)
}

/// The loads of some servers in an order of their own, to be read again and again: those that stand side by side are
/// found at once.
#[derive(Debug, Default)]
pub struct LoadList(Vec<Run>);

#[derive(Debug)]
struct Run {
    row: Arc<Row>,
    places: Range<usize>,
}

impl FromIterator<Load> for LoadList {
    fn from_iter<I: IntoIterator<Item = Load>>(loads: I) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for Load { row, place } in loads {
            match runs.last_mut() {
                Some(run) if run.places.end == place && Arc::ptr_eq(&run.row, &row) => {
                    run.places.end += 1;
                }
                _ => runs.push(Run {
                    row,
                    places: place..place + 1,
                }),
            }
        }
        Self(runs)
    }
}

impl LoadList {
    /// Adds the [sum](Load::sum) of each.
    pub fn extend_sums(&self, sums: &mut Vec<u32>) {
        for Run { row, places } in &self.0 {
            sums.extend(row.0[places.clone()].iter().map(sum));
        }
    }
}

/// Where the next server of a backend gets its load. A place is not given twice: a row goes once none of its
/// servers is left.
#[derive(Debug, Default)]
pub(super) struct Loads(Mutex<Option<Load>>);

impl Loads {
    pub fn next(&self) -> Load {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match last.take() {
            Some(Load { row, place }) if place + 1 < ROW => Load {
                row,
                place: place + 1,
            },
            Some(_) | None => Load {
                row: Arc::new(Row(std::array::from_fn(|_| AtomicU64::new(0)))),
                place: 0,
            },
        };
        last.insert(next).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_and_what_waits_is_counted_apart_and_together() {
        let load = Loads::default().next();
        load.begin();
        assert!(load.begin_under(2));
        assert!(!load.begin_under(2));
        load.join_queue();
        assert_eq!((load.active(), load.queued(), load.sum()), (2, 1, 3));
        load.end();
        load.leave_queue();
        assert_eq!((load.active(), load.queued(), load.sum()), (1, 0, 1));
    }

    #[test]
    fn every_server_has_a_load_of_its_own() {
        let loads = Loads::default();
        let all: Vec<Load> = (0..3 * ROW).map(|_| loads.next()).collect();
        for (position, load) in all.iter().enumerate() {
            for _ in 0..position {
                load.begin();
            }
        }
        // In whichever order, with gaps or without.
        let orders: [Vec<usize>; 4] = [
            Vec::new(),
            (0..3 * ROW).collect(),
            (0..3 * ROW).rev().collect(),
            vec![5, 6, 8, 9, ROW - 1, ROW, 2 * ROW, ROW + 1, 5],
        ];
        for order in orders {
            let list: LoadList = order.iter().map(|at| all[*at].clone()).collect();
            let mut sums = vec![7];
            list.extend_sums(&mut sums);
            let wanted: Vec<u32> = [7]
                .into_iter()
                .chain(order.iter().map(|at| *at as u32))
                .collect();
            assert_eq!(sums, wanted);
        }
    }
}
