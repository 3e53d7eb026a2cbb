//! `cargo xtask demo`: builds what it needs and starts the demonstration.

use anyhow::Result;

use crate::{
    guests, process,
    workspace::{self, Profile},
};

#[derive(clap::Args)]
pub struct Options {
    /// Keep servers and proxy running afterwards
    #[arg(long)]
    stay: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let weir = workspace::weir(Profile::Dev);
    if !weir.exists() {
        eprintln!(
            "Nothing is built yet. First come the plugins (Rust to Wasm components), then the proxy with the\n\
             compiler that runs them: some minutes on a small machine. The next time it starts at once."
        );
    }
    guests::build()?;
    process::run(process::cargo().args([
        "build",
        "--package",
        "weir",
        "--package",
        "weir-tests",
        "--bins",
    ]))?;

    let mut demo = process::outside_cargo(weir.with_file_name("weir-demo"));
    demo.env("WEIR_BIN", &weir)
        .args(options.stay.then_some("--stay"));
    process::run(&mut demo)
}
