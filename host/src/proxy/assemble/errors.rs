//! Why a generation could not be built: one error for each reason, each with its place.

use std::fmt;

use crate::{
    config::{self, ConfigError},
    net::{BindError, NamespaceError, ResolveError, account::AccountError},
    plugin::{LoadError, LoadFault, maps::MapError},
};

/// One reason why a generation could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0}")]
    Config(ConfigError),
    #[error("{}", with_cause(.0))]
    Map(MapError),
    #[error("{place}: {}", with_cause(.source))]
    Resolve { place: String, source: ResolveError },
    #[error("{place}: {}", with_cause(.source))]
    Namespace {
        place: String,
        source: NamespaceError,
    },
    #[error("{}", with_cause(.0))]
    Bind(BindError),
    #[error("`{key}`: {}", with_cause(.source))]
    Account {
        key: &'static str,
        source: AccountError,
    },
}

/// All that is wrong with a configuration, a paragraph each.
#[derive(Debug)]
pub struct BuildErrors(pub Vec<BuildError>);

impl BuildErrors {
    /// Whether the configuration itself is sound and only the system stands in the way.
    pub fn is_only_system(&self) -> bool {
        self.0
            .iter()
            .all(|error| matches!(error, BuildError::Bind(_) | BuildError::Account { .. }))
    }
}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildErrors {}

/// The errors of one plugin, each where it belongs in weir.toml.
pub(super) fn located(config: &config::PluginUse, error: &LoadError) -> Vec<BuildError> {
    let plugin = &error.plugin;
    match &error.fault {
        LoadFault::Config { violations } => violations
            .iter()
            .map(|violation| {
                let message = format!("plugin `{plugin}`: {}", violation.message);
                BuildError::Config(config.places.error(&violation.pointer, message))
            })
            .collect(),
        fault => {
            let message = format!("plugin `{plugin}`: {}", with_cause(fault));
            vec![BuildError::Config(config.places.plugin_error(message))]
        }
    }
}

/// An error with all its causes, in one line.
pub fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
