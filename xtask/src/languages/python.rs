//! Python, by componentize-py in an environment of its own.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Work, is_there};
use crate::process;

pub fn missing() -> Option<String> {
    let there = is_there("python3", "--version");
    (!there).then(|| "it needs Python 3.10 or later with venv and pip".to_owned())
}

pub fn fetch(work: &Work) -> Result<()> {
    let environment = work.kept("python");
    if !python_of(work).exists() {
        let mut venv = process::outside_cargo("python3");
        process::run(venv.args(["-m", "venv"]).arg(&environment))?;
    }
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--requirement",
        "requirements.txt",
    ];
    run(work, &install, &work.examples(), &[])
}

pub fn build(work: &Work) -> Result<()> {
    let tests = [
        "-m",
        "unittest",
        "discover",
        "--quiet",
        "--start-directory",
        "tests",
    ];
    run(work, &tests, &work.sdk(), &[])?;
    run(work, &tests, &work.examples(), &[])?;
    for (folder, plugin) in work.plugins()? {
        let class = plugin.class.as_deref().unwrap_or_default();
        let source = format!("{}:{class}", folder.join(&plugin.source).display());
        let options = plugin.options();
        let mut words = vec!["-m", "weir_plugin.build", &source];
        words.extend(options.iter().map(String::as_str));
        words.push("--output");
        let component = work.component(&plugin.name);
        run(work, &words, &work.examples(), &[&component])?;
    }
    Ok(())
}

fn python_of(work: &Work) -> PathBuf {
    work.kept("python").join("bin/python")
}

/// Runs Python with the SDK and the examples to be imported.
fn run(work: &Work, words: &[&str], folder: &Path, more: &[&Path]) -> Result<()> {
    let mut command = process::outside_cargo(python_of(work));
    command.args(words).args(more).current_dir(folder);
    command.env(
        "PYTHONPATH",
        env::join_paths([&work.sdk(), &work.examples()])?,
    );
    process::run(&mut command)
}
