//! Projects of plugins: a new one from a template, and a component from its sources.

mod build;
mod kit;
mod new;
mod rust;

pub use build::{BuildError, Built, build};
pub use new::{Kind, Language, NewError, Project, create};
