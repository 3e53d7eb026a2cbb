//! `cargo xtask reference`: the page about the contract, made of the contract's own comments.
//!
//! What the page says is written once, in the WIT, where the tools of every language read it too.

mod page;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use wit_bindgen_core::wit_parser::Resolve;

use crate::workspace;

#[derive(clap::Args)]
pub struct Options {}

pub fn run(_: &Options) -> Result<()> {
    let page = made_of(&contract())?;
    fs::write(file(), page).with_context(|| format!("cannot write {}", file().display()))
}

fn contract() -> PathBuf {
    workspace::root().join("wit/v0.1")
}

fn file() -> PathBuf {
    workspace::root().join("docs/contract.md")
}

fn made_of(contract: &Path) -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(contract)
        .with_context(|| format!("cannot read {}", contract.display()))?;
    page::of(&resolve, package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_docs_is_the_one_that_the_contract_makes() {
        let there = fs::read_to_string(file()).unwrap_or_default();
        let made = made_of(&contract()).unwrap();
        assert!(
            there == made,
            "docs/contract.md is not what the contract says now: run `cargo xtask reference`"
        );
    }
}
