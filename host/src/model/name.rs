//! Names that must not be mixed up. Cloning one is cheap; they are made once, when a config is loaded.

use std::{fmt, sync::Arc};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(name: &str) -> Self {
                Self(name.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// A `[[frontend]]`'s name.
    FrontendName
);
name!(
    /// A `[[backend]]`'s name.
    BackendName
);
name!(
    /// A `[[backend.server]]`'s name, unique within its backend.
    ServerName
);
name!(
    /// What a plugin is called in logs and errors: the source as written in the config.
    PluginName
);
