//! `cargo xtask bench`: builds everything optimised and starts the measuring program.

use anyhow::Result;

use crate::{
    guests, process,
    workspace::{self, Profile},
};

#[derive(clap::Args)]
pub struct Options {
    /// For the measuring program; `--help` shows what it knows
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub fn run(options: &Options) -> Result<()> {
    guests::build()?;
    process::run(process::cargo().args([
        "build",
        "--release",
        "--package",
        "weir",
        "--package",
        "weir-benches",
    ]))?;
    let program = workspace::weir(Profile::Release).with_file_name("weir-bench");
    process::run(process::outside_cargo(program).args(&options.args))
}
