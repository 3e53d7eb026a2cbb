//! C, by clang and wit-bindgen's generator, without a C library.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use weir_plugin_build::from_module;

use super::{Work, bindings, is_there};
use crate::process;

/// Sources, components and the worlds that they are written for.
const PLUGINS: [(&str, &str, &str); 2] = [
    ("shuffle-shard.c", "shuffle-shard", "balancer-plugin"),
    ("tenant.c", "tenant", "request-filter-plugin"),
];

pub fn missing() -> Option<String> {
    let there = is_there("clang", "--version") && is_there("wasm-ld", "--version");
    (!there).then(|| "it needs clang and lld (Debian: apt-get install clang lld)".to_owned())
}

pub fn build(work: &Work) -> Result<()> {
    let tests = fs::read_dir(work.examples().join("tests"))
        .context("the examples have tests")?
        .chain(fs::read_dir(work.sdk().join("tests")).context("the SDK has tests")?);
    for entry in tests {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "c") {
            run_test(work, &file)?;
        }
    }
    for (source, name, world) in PLUGINS {
        let module = compile(work, source, world)?;
        let module =
            fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let component = from_module(&module)?;
        fs::write(work.component(name), component)?;
    }
    Ok(())
}

/// A test is a program for this machine that includes what it tests.
fn run_test(work: &Work, source: &Path) -> Result<()> {
    let program = source.with_extension("");
    let mut clang = process::outside_cargo("clang");
    clang
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover"])
        .arg("-I")
        .arg(work.sdk())
        .arg("-I")
        .arg(generated(work, "balancer-plugin")?)
        .arg("-I")
        .arg(generated(work, "request-filter-plugin")?)
        .arg(source)
        .arg("-o")
        .arg(&program);
    process::run(&mut clang)?;
    // What a plugin answers with is the proxy's to free, and here there is none.
    let mut test = process::outside_cargo(&program);
    process::run(test.env("ASAN_OPTIONS", "detect_leaks=0"))
}

/// The bindings of a world, made if need be.
fn generated(work: &Work, world: &str) -> Result<PathBuf> {
    let folder = work.sdk().join("generated");
    if !folder
        .join(format!("{}.h", world.replace('-', "_")))
        .exists()
    {
        bindings::write(world, &folder)?;
    }
    Ok(folder)
}

fn compile(work: &Work, source: &str, world: &str) -> Result<PathBuf> {
    let bindings = generated(work, world)?;
    let world = world.replace('-', "_");
    let module = work.examples().join(source).with_extension("core.wasm");
    let mut clang = process::outside_cargo("clang");
    clang
        .args([
            "--target=wasm32-unknown-unknown",
            "-std=c11",
            "-O2",
            "-nostdlib",
        ])
        .args(["-Wall", "-Wextra", "-Werror", "-mexec-model=reactor"])
        .arg("-isystem")
        .arg(work.sdk().join("include"))
        .arg("-I")
        .arg(work.sdk())
        .arg("-I")
        .arg(&bindings)
        .arg(work.examples().join(source))
        .arg(work.sdk().join("weir.c"))
        .arg(bindings.join(format!("{world}.c")))
        .arg(bindings.join(format!("{world}_component_type.o")))
        .args(["-Wl,--no-entry", "-Wl,--strip-debug", "-o"])
        .arg(&module);
    process::run(&mut clang)?;
    Ok(module)
}
