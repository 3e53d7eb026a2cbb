//! JavaScript, by componentize-js on Node.

use anyhow::{Context, Result};

use super::{Work, is_there};
use crate::process;

pub fn missing() -> Option<String> {
    let version = process::outside_cargo("node").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = version.ok().as_deref().and_then(major);
    let there = major.is_some_and(|major| major >= 20) && is_there("npm", "--version");
    (!there).then(|| "it needs Node 20 or later with npm".to_owned())
}

/// `v20.11.1` → 20
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

pub fn fetch(work: &Work) -> Result<()> {
    npm(
        work,
        &["install", "--no-audit", "--no-fund", "--loglevel=error"],
    )
}

pub fn build(work: &Work) -> Result<()> {
    let mut node = process::outside_cargo("node");
    process::run(node.arg("--test").current_dir(work.sdk())).context("the SDK's tests")?;
    npm(work, &["test"])?;
    for (folder, plugin) in work.plugins()? {
        let mut node = process::outside_cargo("node");
        node.arg("node_modules/weir-plugin/build.js")
            .arg(folder.join(&plugin.source))
            .args(plugin.options())
            .arg("--output")
            .arg(work.component(&plugin.name));
        process::run(node.current_dir(work.examples()))?;
    }
    Ok(())
}

fn npm(work: &Work, words: &[&str]) -> Result<()> {
    let mut npm = process::outside_cargo("npm");
    npm.args(words).current_dir(work.examples());
    npm.env("npm_config_cache", work.kept("npm"));
    process::run(&mut npm)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(super::major("v20.11.1\n"), Some(20));
        assert_eq!(super::major("20"), None);
    }
}
