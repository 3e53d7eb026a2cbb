//! The lines that a process writes, collected while it runs.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    task::JoinHandle,
};

/// Cheap to clone; all clones see the same lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Collects from `pipe` until it ends.
    pub(crate) fn collect(&self, pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|count| count > 0)
            {
                lines.lock().push(
                    String::from_utf8_lossy(&line)
                        .trim_end_matches('\n')
                        .to_owned(),
                );
                line.clear();
            }
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The first line from number `start` on that `wanted` makes something of.
    pub(crate) fn find<T>(&self, start: usize, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.lock().iter().skip(start).find_map(|line| wanted(line))
    }

    /// Waits until no more lines come, for those that belong to one that has been found.
    pub(crate) async fn settle(&self) {
        let mut before = 0;
        while before != self.count() {
            before = self.count();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lock().iter().map(|line| format!("{line}\n")).collect()
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
