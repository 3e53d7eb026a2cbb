//! Embeds the components that `cargo xtask build` has made, by writing a table of them for
//! `plugin::bundled`. None made, none embedded: the host builds without a Wasm toolchain. And what
//! `weir plugin new` unpacks.

#[path = "build/kit.rs"]
mod kit;

use std::{
    env,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=WEIR_GUESTS_DIR");
    let folder = guests_folder();
    // Cargo takes a folder that isn't there for one that has changed, and would build the host anew each
    // time. A source tree that can't be written to is built once anyway.
    let _ = fs::create_dir_all(&folder);
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut table = String::from("static BUNDLED: &[(&str, &[u8])] = &[\n");
    for (name, file) in components(&folder)? {
        println!("cargo::rerun-if-changed={}", file.display());
        let file = file.display().to_string();
        writeln!(table, "    ({name:?}, include_bytes!({file:?})),").expect("a String takes all");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("bundled.rs"), table)?;
    fs::write(out.join("kit.rs"), kit::table(&repository())?)
}

fn guests_folder() -> PathBuf {
    if let Some(folder) = env::var_os("WEIR_GUESTS_DIR") {
        return PathBuf::from(folder);
    }
    repository().join("target/guests/components")
}

fn repository() -> PathBuf {
    let host = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let workspace = host.parent();
    workspace
        .expect("the host's folder is in the workspace")
        .to_owned()
}

/// Name and file of each component, sorted by name as the table's binary search wants it.
fn components(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let file = entry?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && let Some(name) = file.file_stem().and_then(|stem| stem.to_str())
        {
            found.push((name.to_owned(), file.canonicalize()?));
        }
    }
    found.sort();
    Ok(found)
}
