//! Projects of plugins: a new one from a template, and a component from its sources.

mod build;
mod c;
mod fetch;
mod javascript;
mod kit;
mod new;
mod python;
mod rust;

pub use build::{BuildError, Built, build};
pub use new::{Kind, Language, NewError, Project, create};
