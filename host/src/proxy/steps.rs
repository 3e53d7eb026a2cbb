//! Lets the shares of canaries grow as their steps say, beside the data path. When is the try's to know.

use std::{sync::Arc, time::Instant};

use tokio::{
    task::{AbortHandle, spawn_local},
    time::sleep,
};

use crate::frontend::{Generation, Growth, Rollout};

/// A task for each try that may grow.
#[derive(Default)]
pub struct Steps(Vec<(Arc<Rollout>, AbortHandle)>);

impl Steps {
    /// Looks after the tries of this generation from now on, and after no others.
    pub fn follow(&mut self, generation: &Generation) {
        let tries = generation.uses().filter_map(|used| used.next.as_deref());
        let tries: Vec<_> = tries.map(|next| Arc::clone(&next.rollout)).collect();
        self.0.retain(|(known, task)| {
            let stays = tries.iter().any(|rollout| Arc::ptr_eq(rollout, known));
            if !stays {
                task.abort();
            }
            stays
        });
        for rollout in tries {
            if !self.0.iter().any(|(known, _)| Arc::ptr_eq(&rollout, known)) {
                let task = spawn_local(look_after(Arc::clone(&rollout)));
                self.0.push((rollout, task.abort_handle()));
            }
        }
    }

    pub fn stop(&mut self) {
        for (_, task) in self.0.drain(..) {
            task.abort();
        }
    }
}

async fn look_after(rollout: Arc<Rollout>) {
    while let Growth::Later(wait) = rollout.grow(Instant::now()) {
        sleep(wait).await;
    }
}
