//! Core module in, component out.

use anyhow::{Context, Result, bail};
use wit_component::ComponentEncoder;

/// The custom sections by which the SDK tells `wit-component` the world of a module.
const WORLD_SECTION: &[u8] = b"component-type";

/// Makes a validated component of a module built with the SDK.
///
/// Fails if the module imports anything but Weir's own interfaces (guests get no WASI: what a plugin
/// may reach is granted by name) or does not fit the world it names.
pub fn from_module(module: &[u8]) -> Result<Vec<u8>> {
    refuse_foreign_imports(module)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder
        .module(module)
        .context("the module does not fit the world it names")?
        .encode()
        .context("cannot make a component of the module")
}

/// Whether the module was built with the SDK's export macro.
pub fn names_world(module: &[u8]) -> bool {
    module
        .windows(WORLD_SECTION.len())
        .any(|window| window == WORLD_SECTION)
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
