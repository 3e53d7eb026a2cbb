//! Core module in, component out.

use wit_component::ComponentEncoder;

/// The custom sections by which the SDK tells `wit-component` the world of a module.
const WORLD_SECTION: &[u8] = b"component-type";

/// Why no component can be made of a module.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error("the module names no world; does its lib.rs call `weir_sdk::export!`?")]
    NoWorld,
    #[error("not a Wasm module: {message}")]
    NotAModule { message: String },
    #[error("the module imports `{name}` from `{module}`; {}", why_not(module))]
    ForeignImport { module: String, name: String },
    #[error("the module does not fit the world that it names: {message}")]
    Misfit { message: String },
}

/// Makes a validated component of a module built with the SDK.
///
/// Fails if the module imports anything but Weir's own interfaces (guests get no WASI: what a plugin
/// may reach is granted by name) or if it names no world or does not fit
/// the one it names.
pub fn from_module(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let names_world = module
        .windows(WORLD_SECTION.len())
        .any(|window| window == WORLD_SECTION);
    if !names_world {
        return Err(ComponentError::NoWorld);
    }
    refuse_foreign_imports(module)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| ComponentError::Misfit {
            message: format!("{error:#}"),
        })
}

fn refuse_foreign_imports(module: &[u8]) -> Result<(), ComponentError> {
    let no_module = |error: wasmparser::BinaryReaderError| ComponentError::NotAModule {
        message: error.to_string(),
    };
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let wasmparser::Payload::ImportSection(imports) = payload.map_err(no_module)? else {
            continue;
        };
        for import in imports.into_imports() {
            let import = import.map_err(no_module)?;
            if !import.module.starts_with("weir:plugin/") {
                return Err(ComponentError::ForeignImport {
                    module: import.module.to_owned(),
                    name: import.name.to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn why_not(module: &str) -> &'static str {
    match module {
        _ if module.starts_with("wasi") => {
            "guests get no WASI: no files, network, environment or clock of their own"
        }
        "env" | "__wbindgen_placeholder__" => "some dependency expects a C library or a browser",
        _ => "only interfaces of weir:plugin can be imported",
    }
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
