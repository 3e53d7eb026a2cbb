//! `cargo xtask build`: guests first, then the proxy, whose build script embeds the components.

use anyhow::Result;

use crate::{
    guests, process,
    workspace::{self, Profile},
};

#[derive(clap::Args)]
pub struct Options {
    /// Build the proxy optimised (the plugins always are)
    #[arg(long)]
    release: bool,
    /// Stop after the plugins
    #[arg(long)]
    guests_only: bool,
}

pub fn run(options: &Options) -> Result<()> {
    guests::build()?;
    if options.guests_only {
        return Ok(());
    }
    let profile = if options.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    host(profile)?;
    eprintln!("proxy: {}", workspace::weir(profile).display());
    Ok(())
}

/// Builds the proxy. The guests must have been built before.
pub fn host(profile: Profile) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--package", "weir", "--bin", "weir"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)
}
