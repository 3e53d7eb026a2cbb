//! Builds the guests, the crates that become plugins, and turns them into components.
//!
//! `target/guests/components` gets the bundled plugins and nothing else, since `host/build.rs` embeds
//! what lies there. Guests of the tests and examples go to folders of their own beside it.

mod list;
pub mod stamp;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use weir_plugin_build::{TARGET, Toolchain, find, from_module};

use self::{list::Guest, stamp::Stamp};
use crate::{process, workspace};

/// Makes all components current. Touches only what changed: no compiler is started while sources and
/// toolchain are those of the last build, and a component whose content is the same keeps its file.
pub fn build() -> Result<()> {
    let guests = list::find(workspace::root())?;
    let toolchain = find(workspace::root())?;
    let sources = stamp::digest_sources(workspace::root(), &toolchain.identity)?;
    let stamp_file = workspace::guests_target().join("stamp");
    let last = Stamp::read(&stamp_file);
    if last.sources == sources && guests.iter().all(|guest| component_file(guest).exists()) {
        return Ok(());
    }

    eprintln!(
        "guests: building {} with {}",
        names(&guests),
        toolchain.shown
    );
    compile(&toolchain, &guests)?;
    let mut next = Stamp {
        sources,
        modules: Default::default(),
    };
    for guest in &guests {
        let digest = make_component(guest, &last)?;
        next.modules.insert(guest.name.clone(), digest);
    }
    remove_strays(&guests)?;
    next.write(&stamp_file)
}

fn compile(toolchain: &Toolchain, guests: &[Guest]) -> Result<()> {
    let mut cargo = toolchain.cargo();
    cargo.current_dir(workspace::root());
    cargo.args([
        "build",
        "--profile",
        "guest",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    cargo.arg(workspace::guests_target());
    cargo.args(&toolchain.extra_args);
    for guest in guests {
        cargo.args(["--package", &guest.package]);
    }
    process::run(&mut cargo).context("the guests do not compile")
}

/// Makes the component of a compiled guest unless its module is the one of last time. Hands back the
/// module's digest.
fn make_component(guest: &Guest, last: &Stamp) -> Result<String> {
    let module_file = module_file(guest);
    let module =
        fs::read(&module_file).with_context(|| format!("cannot read {}", module_file.display()))?;
    let digest = stamp::digest(&module);
    let file = component_file(guest);
    if last.modules.get(&guest.name) == Some(&digest) && file.exists() {
        return Ok(digest);
    }
    let component = from_module(&module).with_context(|| format!("guest `{}`", guest.name))?;
    write_if_changed(&file, &component)?;
    Ok(digest)
}

/// Keeps the file's time when nothing changed, so that cargo does not build the proxy anew.
fn write_if_changed(file: &Path, content: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::create_dir_all(file.parent().expect("a component lies in a folder"))?;
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!(
        "guests: {} ({} KiB)",
        file.display(),
        content.len().div_ceil(1024)
    );
    Ok(())
}

/// A plugin that was renamed or removed must not stay in the proxy.
fn remove_strays(guests: &[Guest]) -> Result<()> {
    let wanted: BTreeSet<PathBuf> = guests.iter().map(component_file).collect();
    for folder in list::Home::ALL.map(component_folder) {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let file = entry?.path();
            if !wanted.contains(&file) {
                fs::remove_file(&file)
                    .with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
    }
    Ok(())
}

fn module_file(guest: &Guest) -> PathBuf {
    workspace::guests_target()
        .join(TARGET)
        .join("guest")
        .join(guest.module_name())
}

fn component_file(guest: &Guest) -> PathBuf {
    component_folder(guest.home).join(format!("{}.wasm", guest.name))
}

fn component_folder(home: list::Home) -> PathBuf {
    workspace::guests_target().join(match home {
        list::Home::Plugins => "components",
        list::Home::Tests => "tests",
        list::Home::Examples => "examples",
    })
}

fn names(guests: &[Guest]) -> String {
    guests
        .iter()
        .map(|guest| guest.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
