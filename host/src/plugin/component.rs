//! A compiled component: what it is, what it can be used as, what it asks the proxy for.

use std::{fmt, io::Read, path::Path};

use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component};

use crate::config::PluginSource;

use super::{
    bundled,
    contract::{self, Compatibility, Import, Interface, Role},
    error::LoadFault,
    regular,
    runtime::Runtime,
    v0_1,
    wasi::WasiImport,
};

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A part of it as a number.
    pub fn number(self) -> u64 {
        let (bytes, _) = self.0.split_first_chunk().expect("a digest has 32 bytes");
        u64::from_be_bytes(*bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Machine code of one component, with what its type says.
pub struct Component {
    pub(super) code: component::Component,
    digest: Digest,
    size: usize,
    /// The names of all imports and exports, as they are in its type.
    interfaces: [Vec<String>; 2],
    roles: Vec<Role>,
    imports: Vec<Import>,
    wasi: Vec<WasiImport>,
    /// Imports that this Weir doesn't know.
    foreign: Vec<String>,
    /// `weir:plugin@0.1.0`
    contract: String,
    newer: bool,
}

impl Component {
    pub(super) fn compile(
        engine: &Engine,
        bytes: &[u8],
        digest: Digest,
    ) -> Result<Self, LoadFault> {
        check_kind(bytes)?;
        let code = component::Component::from_binary(engine, bytes).map_err(|error| {
            LoadFault::Invalid {
                message: format!("{error:#}"),
            }
        })?;
        let kind = code.component_type();
        let exports: Vec<String> = kind
            .exports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        let (contract, newer) = contract_version(&exports)?;
        let imports = Imports::of(&kind, engine)?;
        Ok(Self {
            roles: roles_of(&exports),
            interfaces: [
                kind.imports(engine)
                    .map(|(name, _)| name.to_owned())
                    .collect(),
                exports,
            ],
            code,
            digest,
            size: bytes.len(),
            imports: imports.contract,
            wasi: imports.wasi,
            foreign: imports.foreign,
            contract,
            newer,
        })
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Of the file, in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The full names of its imports and of its exports, whoever knows them.
    pub fn interfaces(&self) -> (&[String], &[String]) {
        let [imports, exports] = &self.interfaces;
        (imports, exports)
    }

    /// Of its machine code, in bytes.
    pub fn code_size(&self) -> usize {
        let code = self.code.image_range();
        (code.end as usize).saturating_sub(code.start as usize)
    }

    /// What it exports, in the order of [`Role::ALL`].
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// What it asks the proxy for.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// What it imports of WASI, which is linked with nothing behind it.
    pub fn wasi_imports(&self) -> &[WasiImport] {
        &self.wasi
    }

    /// What it asks for and no Weir of this version has; such a component can't be loaded.
    pub fn foreign_imports(&self) -> &[String] {
        &self.foreign
    }

    /// The contract it was written against, such as `weir:plugin@0.1.0`.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// Whether that contract has additions which this Weir doesn't know. The component works as long as
    /// it uses none of them.
    pub(super) fn is_newer(&self) -> bool {
        self.newer
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("digest", &self.digest)
            .field("contract", &self.contract)
            .field("roles", &self.roles)
            .field("imports", &self.imports)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// The bytes of a plugin: out of Weir itself, or from its file.
    pub(super) fn read(&self, source: &PluginSource) -> Result<Vec<u8>, LoadFault> {
        match source {
            PluginSource::Bundled(name) => match bundled::get(name) {
                Some(bytes) => Ok(bytes.to_vec()),
                None => Err(LoadFault::NotBundled {
                    name: name.clone(),
                    known: bundled::names().collect(),
                }),
            },
            PluginSource::File(path) => self.read_file(path),
            PluginSource::Oci(source) => Err(LoadFault::NotFetched {
                reference: source.reference.to_string(),
            }),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Vec<u8>, LoadFault> {
        let limit = self.options().max_file;
        let mut bytes = Vec::new();
        // One byte past the limit is enough to know; whatever the file's length claims to be.
        regular::open(path)
            .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => LoadFault::Missing {
                    path: path.to_owned(),
                },
                _ => LoadFault::Unreadable {
                    path: path.to_owned(),
                    source,
                },
            })?;
        if bytes.len() as u64 > limit {
            return Err(LoadFault::TooLarge { limit });
        }
        Ok(bytes)
    }
}

/// Tells apart the things that people hand over by mistake. Precompiled code is never taken: it would
/// run unchecked.
fn check_kind(bytes: &[u8]) -> Result<(), LoadFault> {
    const COMPONENT: &str = "a plugin is a WebAssembly component (a binary .wasm file)";
    let (found, help) = match bytes {
        [] => ("an empty file", COMPONENT),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => (
            "a core module",
            "make a component of it with `wasm-tools component new`",
        ),
        [0, b'a', b's', b'm', ..] => ("WebAssembly of another version", COMPONENT),
        [0x7f, b'E', b'L', b'F', ..] => (
            "machine code",
            "Weir compiles plugins itself: give it the .wasm that this was made from",
        ),
        _ if bytes.trim_ascii_start().starts_with(b"(") => (
            "WebAssembly text",
            "make a binary of it with `wasm-tools parse`",
        ),
        _ => ("something else", COMPONENT),
    };
    Err(LoadFault::NotAComponent { found, help })
}

/// The contract's version as the component's `lifecycle` names it, and whether it is a later one that
/// only adds.
fn contract_version(exports: &[String]) -> Result<(String, bool), LoadFault> {
    let mut of_contract = exports
        .iter()
        .filter_map(|name| Interface::parse(name))
        .filter(|interface| interface.of_contract().is_some());
    let lifecycle = of_contract
        .clone()
        .find(|i| i.of_contract() == Some("lifecycle"));
    // Named wrongly rather than left out: say which version was found.
    let Some(interface) = lifecycle.or_else(|| of_contract.next()) else {
        return Err(LoadFault::NotAPlugin {
            exports: exports.to_vec(),
        });
    };
    check_version(&interface)?;
    if lifecycle.is_none() {
        return Err(LoadFault::NotAPlugin {
            exports: exports.to_vec(),
        });
    }
    let newer = interface.compatibility() == Compatibility::NewerAdditions;
    Ok((interface.package_version(), newer))
}

fn check_version(interface: &Interface<'_>) -> Result<(), LoadFault> {
    let newer = match interface.compatibility() {
        Compatibility::Same | Compatibility::NewerAdditions => return Ok(()),
        Compatibility::Newer => true,
        Compatibility::Foreign => false,
    };
    Err(LoadFault::WrongVersion {
        found: interface.package_version(),
        offered: v0_1::VERSION,
        newer,
    })
}

fn roles_of(exports: &[String]) -> Vec<Role> {
    let exported: Vec<&str> = exports
        .iter()
        .filter_map(|name| Interface::parse(name))
        .filter(|interface| check_version(interface).is_ok())
        .filter_map(|interface| interface.of_contract())
        .collect();
    let mut roles = Role::ALL.to_vec();
    roles.retain(|role| exported.contains(&role.as_str()));
    roles
}

/// What a component imports, by who is asked for it.
#[derive(Default)]
struct Imports {
    contract: Vec<Import>,
    wasi: Vec<WasiImport>,
    foreign: Vec<String>,
}

impl Imports {
    fn of(kind: &component::types::Component, engine: &Engine) -> Result<Self, LoadFault> {
        let mut imports = Self::default();
        for (name, item) in kind.imports(engine) {
            if let Some(import) = WasiImport::parse(name) {
                imports.wasi.push(import);
                continue;
            }
            if contract::is_only_types(&item.ty, engine) {
                continue;
            }
            let interface = Interface::parse(name);
            let of_contract = interface.and_then(|interface| interface.of_contract());
            if let (Some(interface), Some(_)) = (interface, of_contract) {
                check_version(&interface)?;
            }
            let known = Import::ALL
                .into_iter()
                .find(|import| of_contract == Some(import.as_str()));
            match known {
                Some(import) => imports.contract.push(import),
                None => imports.foreign.push(name.to_owned()),
            }
        }
        Ok(imports)
    }
}
