//! C: bindings of the contract, and a compiler that makes a module of them and the author's source.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use wit_bindgen_core::{Files, wit_parser::Resolve};

use crate::program::{ProgramError, outside_cargo, run};

/// What bindings are called: `plugin.h`, `plugin_string_t`.
const WORLD: &str = "plugin";
const TOOLS: [&str; 2] = ["clang", "wasm-ld"];

/// Why there are no bindings or no module.
#[derive(Debug, thiserror::Error)]
pub enum CError {
    #[error("the contract names no package `weir:plugin@…`")]
    NoVersion,
    #[error("no bindings can be made of the contract: {message}")]
    Bindings { message: String },
    #[error(
        "plugins in C need clang and lld, and there is no `{program}` here\n\
         Debian: apt-get install clang lld    macOS: brew install llvm lld"
    )]
    Missing { program: &'static str },
    #[error("{}", file.display())]
    File { file: PathBuf, source: io::Error },
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// What a module in C is made of.
#[derive(Debug, Clone, Copy)]
pub struct CModule<'a> {
    pub source: &'a Path,
    /// The folder with `weir.h`.
    pub sdk: &'a Path,
    /// The folder that [`write_bindings`] has filled.
    pub bindings: &'a Path,
}

/// What the text of the contract calls its version.
pub fn contract_version(contract: &str) -> Option<&str> {
    let named = contract
        .lines()
        .find_map(|line| line.strip_prefix("package weir:plugin@"))?;
    named.split(';').next()
}

/// Writes `plugin.h`, `plugin.c` and `plugin_component_type.o`, which export `lifecycle` and `roles` and
/// import `log` and `imports`. A file that is as it should be is left alone, so that `make` sees no change.
pub fn write_bindings(
    contract: &str,
    roles: &[&str],
    imports: &[&str],
    folder: &Path,
) -> Result<(), CError> {
    let failed = |file: PathBuf| move |source| CError::File { file, source };
    fs::create_dir_all(folder).map_err(failed(folder.to_owned()))?;
    for (name, content) in bindings(contract, roles, imports)? {
        let file = folder.join(name);
        if fs::read(&file).is_ok_and(|there| there == content) {
            continue;
        }
        fs::write(&file, content).map_err(failed(file))?;
    }
    Ok(())
}

/// Names and contents.
fn bindings(
    contract: &str,
    roles: &[&str],
    imports: &[&str],
) -> Result<Vec<(String, Vec<u8>)>, CError> {
    let version = contract_version(contract).ok_or(CError::NoVersion)?;
    let unclear = |error: &dyn std::fmt::Display| CError::Bindings {
        message: format!("{error:#}"),
    };
    let mut resolve = Resolve::default();
    resolve
        .push_str("weir-plugin.wit", contract)
        .map_err(|error| unclear(&error))?;
    let package = resolve
        .push_str("world.wit", &world(version, roles, imports))
        .map_err(|error| unclear(&error))?;
    let world = resolve
        .select_world(&[package], Some(WORLD))
        .map_err(|error| unclear(&error))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)
        .map_err(|error| unclear(&error))?;
    let files = files.iter();
    Ok(files
        .map(|(name, content)| (name.to_owned(), content.to_vec()))
        .collect())
}

fn world(version: &str, roles: &[&str], imports: &[&str]) -> String {
    let line = |verb: &str, name: &str| format!("  {verb} weir:plugin/{name}@{version};\n");
    let imports = ["log"].iter().chain(imports);
    let exports = ["lifecycle"].iter().chain(roles);
    let lines: String = imports
        .map(|name| line("import", name))
        .chain(exports.map(|name| line("export", name)))
        .collect();
    format!("package weir:built;\n\nworld {WORLD} {{\n{lines}}}\n")
}

/// Says which tool is missing to build plugins in C.
pub fn find_clang() -> Result<(), CError> {
    for program in TOOLS {
        let mut command = outside_cargo(program);
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            return Err(CError::Missing { program });
        }
    }
    Ok(())
}

/// Compiles and links a module; what the compiler says is shown as it says it.
///
/// Nothing of a C library is linked: the SDK has the little that plugins need.
pub fn compile(parts: &CModule<'_>) -> Result<Vec<u8>, CError> {
    find_clang()?;
    let module = parts.bindings.join("module.wasm");
    run(&mut clang(parts, &module))?;
    let read = fs::read(&module);
    // It is no component yet, and would be taken for one.
    drop(fs::remove_file(&module));
    read.map_err(|source| CError::File {
        file: module,
        source,
    })
}

fn clang(parts: &CModule<'_>, module: &Path) -> Command {
    let mut clang = outside_cargo(TOOLS[0]);
    clang
        .args(["--target=wasm32-unknown-unknown", "-std=c11", "-O2"])
        .args(["-nostdlib", "-mexec-model=reactor"])
        .args(["-Wall", "-Wextra", "-Werror"])
        .arg("-isystem")
        .arg(parts.sdk.join("include"))
        .arg("-I")
        .arg(parts.sdk)
        .arg("-I")
        .arg(parts.bindings)
        .arg(parts.source)
        .arg(parts.sdk.join("weir.c"))
        .arg(parts.bindings.join(format!("{WORLD}.c")))
        .arg(parts.bindings.join(format!("{WORLD}_component_type.o")))
        .args(["-Wl,--no-entry", "-Wl,--strip-debug", "-o"])
        .arg(module);
    clang
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = "package weir:plugin@0.1.7;
        interface lifecycle { describe: func() -> string; }
        interface log { write: func(text: string); }
        interface clock { now: func() -> u64; }
        interface balancer { pick: func(turn: u64) -> option<u32>; }";

    #[test]
    fn bindings_have_what_was_asked_for_and_no_more() {
        let files = bindings(CONTRACT, &["balancer"], &[]).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["plugin.c", "plugin.h", "plugin_component_type.o"]);
        let header = String::from_utf8(files[1].1.clone()).unwrap();
        assert!(
            header.contains("exports_weir_plugin_balancer_pick"),
            "{header}"
        );
        assert!(header.contains("plugin_string_t"), "{header}");
        assert!(!header.contains("clock"), "{header}");
    }

    #[test]
    fn bindings_that_have_not_changed_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write = || write_bindings(CONTRACT, &["balancer"], &["clock"], folder.path()).unwrap();
        let header = folder.path().join("plugin.h");
        write();
        let first = fs::metadata(&header).unwrap().modified().unwrap();
        write();
        assert_eq!(fs::metadata(&header).unwrap().modified().unwrap(), first);
    }

    #[test]
    fn the_contract_says_its_version() {
        assert_eq!(contract_version(CONTRACT), Some("0.1.7"));
        assert!(matches!(bindings("", &[], &[]), Err(CError::NoVersion)));
    }
}
