//! C, by clang and lld, with wit-bindgen's bindings.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use weir_plugin_build::{
    c::{CModule, compile, find_clang, write_bindings},
    from_module,
};

use super::{Work, manifest::Manifest};
use crate::{process, workspace};

pub fn missing() -> Option<String> {
    find_clang().err().map(|error| error.to_string())
}

pub fn build(work: &Work) -> Result<()> {
    run_test(&work.sdk().join("tests/json.c"), work, None)?;
    for (folder, plugin) in work.plugins()? {
        let bindings = bindings(work, &plugin)?;
        let test = folder.join("tests").join(&plugin.source);
        run_test(&test, work, Some(&bindings))?;
        let source = folder.join(&plugin.source);
        let module = compile(&CModule {
            source: &source,
            sdk: &work.sdk(),
            bindings: &bindings,
        })?;
        fs::write(work.component(&plugin.name), from_module(&module)?)?;
    }
    Ok(())
}

/// The bindings of a plugin, in a folder of their own.
fn bindings(work: &Work, plugin: &Manifest) -> Result<PathBuf> {
    let contract = workspace::root().join("wit/v0.1/weir-plugin.wit");
    let contract = fs::read_to_string(&contract)
        .with_context(|| format!("cannot read {}", contract.display()))?;
    let (roles, imports) = (words(&plugin.roles), words(&plugin.imports));
    let folder = work.examples().join("bindings").join(&plugin.name);
    write_bindings(&contract, &roles, &imports, &folder)?;
    Ok(folder)
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// A test is a program for this machine that includes what it tests.
fn run_test(source: &Path, work: &Work, bindings: Option<&Path>) -> Result<()> {
    let program = source.with_extension("");
    let mut clang = process::outside_cargo("clang");
    clang
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover"])
        .arg("-I")
        .arg(work.sdk());
    if let Some(bindings) = bindings {
        clang.args([OsStr::new("-I"), bindings.as_os_str()]);
    }
    process::run(clang.arg(source).arg("-o").arg(&program))?;
    // What a plugin answers with is the proxy's to free, and here there is none.
    let mut test = process::outside_cargo(&program);
    process::run(test.env("ASAN_OPTIONS", "detect_leaks=0"))
}
