//! A stretch of the configuration file, kept for what is found out about it later.

use std::{ops::Range, path::Path, sync::Arc};

use crate::config::{
    ConfigError,
    error::{Finding, Source},
};

/// Where something stands. Any two are equal: moving a line changes nothing of what it says.
#[derive(Debug, Clone)]
pub struct Spot {
    file: Arc<Path>,
    source: Arc<str>,
    span: Range<usize>,
}

impl Spot {
    pub(in crate::config) fn new(file: &Path, source: &Arc<str>, span: Range<usize>) -> Self {
        Self {
            file: Arc::from(file),
            source: Arc::clone(source),
            span,
        }
    }

    /// An error here: what was found and what would do.
    pub fn error(&self, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        Source::new(&self.file, &self.source).locate(Finding {
            span: self.span.clone(),
            message: message.into(),
            hint: Some(hint.into()),
        })
    }
}

impl PartialEq for Spot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Spot {}
