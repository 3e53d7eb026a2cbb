//! Answers that a repeatable plugin gave before, by hook: looked for ahead of a call, kept after it.

use std::{cell::RefCell, sync::Arc};

use super::LocalPlugin;
use crate::{
    frontend::recall::{Question, Recall, Weight},
    model::{Decision, Edit, Found},
};

/// What a plugin's hooks have answered.
#[derive(Default)]
pub(super) struct Known {
    pub on_request: RefCell<Recall<Decision>>,
    pub on_response: RefCell<Recall<Vec<Edit>>>,
    pub lookup: RefCell<Recall<Found>>,
    pub assigned: RefCell<Recall<Vec<Edit>>>,
}

/// A question that the plugin itself has to be asked.
pub(super) struct Unknown {
    /// None if the answer is not to be kept.
    question: Option<Question>,
    /// Of the maps, before the plugin sees them.
    version: u64,
}

impl LocalPlugin {
    /// The answer, if the plugin has promised to answer alike and has answered this before.
    pub(super) fn recall<'a, T: Weight>(
        &self,
        known: &RefCell<Recall<T>>,
        question: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Arc<T>, Unknown> {
        let plugin = &self.used.plugin;
        if !plugin.is_repeatable() {
            return Err(Unknown {
                question: None,
                version: 0,
            });
        }
        let question = Question::of(question);
        let version = plugin.maps_version();
        let answer = question
            .as_ref()
            .and_then(|question| known.borrow_mut().get(question, version));
        if answer.is_some() {
            self.used.metrics.recalled();
            self.from_memory.set(true);
        }
        answer.ok_or(Unknown { question, version })
    }

    /// Keeps an answer for the next time. It has been checked, so it need not be then.
    pub(super) fn keep<T: Weight>(
        &self,
        known: &RefCell<Recall<T>>,
        asked: Unknown,
        answer: T,
    ) -> Arc<T> {
        let answer = Arc::new(answer);
        if let Some(question) = asked.question {
            known.borrow_mut().put(question, &answer, asked.version);
        }
        answer
    }
}
