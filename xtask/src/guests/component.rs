//! Core module in, component out.

use anyhow::{Context, Result, bail, ensure};
use wit_component::ComponentEncoder;

/// The custom sections by which the SDK tells `wit-component` the world of a module.
const WORLD_SECTION: &[u8] = b"component-type";

/// Makes a validated component of a module built with the SDK.
///
/// Fails if the module imports anything but Weir's own interfaces (guests get no WASI: what a plugin
/// may reach is granted by name) or if it names no world or does not fit
/// the one it names.
pub fn from_module(module: &[u8]) -> Result<Vec<u8>> {
    ensure!(
        module
            .windows(WORLD_SECTION.len())
            .any(|window| window == WORLD_SECTION),
        "the module names no world; does its lib.rs call `weir_sdk::export!`?"
    );
    refuse_foreign_imports(module)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder
        .module(module)
        .context("the module does not fit the world it names")?
        .encode()
        .context("cannot make a component of the module")
}

fn refuse_foreign_imports(module: &[u8]) -> Result<()> {
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let wasmparser::Payload::ImportSection(imports) = payload.context("not a Wasm module")?
        else {
            continue;
        };
        for import in imports.into_imports() {
            let import = import.context("not a Wasm module")?;
            if !import.module.starts_with("weir:plugin/") {
                bail!("{}", foreign(import.module, import.name));
            }
        }
    }
    Ok(())
}

fn foreign(module: &str, name: &str) -> String {
    let why = match module {
        _ if module.starts_with("wasi") => {
            "guests get no WASI: no files, network, environment or clock of their own"
        }
        "env" | "__wbindgen_placeholder__" => "some dependency expects a C library or a browser",
        _ => "only interfaces of weir:plugin can be imported",
    };
    format!("the module imports `{name}` from `{module}`; {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one import and, to get past the first question, a section of that name.
    fn module_importing(module: &str, name: &str) -> Vec<u8> {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let types = [1, 4, 1, 0x60, 0, 0];
        let import = [vec![1], text(module), text(name), vec![0, 0]].concat();
        let custom = text("component-type");
        [
            b"\0asm\x01\0\0\0".to_vec(),
            types.to_vec(),
            [vec![2, import.len() as u8], import].concat(),
            [vec![0, custom.len() as u8], custom].concat(),
        ]
        .concat()
    }

    #[test]
    fn an_import_of_wasi_is_refused_by_name() {
        let module = module_importing("wasi_snapshot_preview1", "fd_write");
        let error = from_module(&module).unwrap_err().to_string();
        assert!(
            error.contains("`fd_write` from `wasi_snapshot_preview1`"),
            "{error}"
        );
        assert!(error.contains("no WASI"), "{error}");
    }

    #[test]
    fn a_module_without_a_world_is_refused() {
        let error = from_module(b"\0asm\x01\0\0\0").unwrap_err().to_string();
        assert!(error.contains("weir_sdk::export!"), "{error}");
    }
}
