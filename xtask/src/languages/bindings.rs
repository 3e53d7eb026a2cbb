//! C bindings of the contract's worlds, by wit-bindgen's generator.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use wit_bindgen_core::{Files, wit_parser::Resolve};

use crate::workspace;

/// Writes `WORLD.h`, `WORLD.c` and `WORLD_component_type.o`, with `_` for `-`, into `folder`.
pub fn write(world: &str, folder: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let contract = workspace::root().join("wit/v0.1");
    let (package, _) = resolve
        .push_dir(&contract)
        .with_context(|| format!("cannot read {}", contract.display()))?;
    let world = resolve
        .select_world(&[package], Some(world))
        .with_context(|| format!("the contract has no world `{world}`"))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, content) in files.iter() {
        let file = folder.join(name);
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
