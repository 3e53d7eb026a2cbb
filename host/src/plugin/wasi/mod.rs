//! WASI for plugins, linked so that there is nothing behind it: what the runtimes of JavaScript, Python,
//! TinyGo and others import is there, and gives no access to anything.
//!
//! No files, no network, no environment, no arguments, no input; what is printed goes to the plugin's
//! log; time and random numbers are real, and need the same grants as the contract's `clock` and
//! `random`. Nothing here waits: a plugin's call happens on a thread that others need.
//!
//! [`works`] has the few functions that do something, [`denied`] gives each of the others the refusal that
//! its own type has room for. The library that implements WASI in full is not used: its synchronous calls
//! start an event loop of their own, inside the one of the worker.

mod denied;
mod stdio;
mod table;
mod works;

use wasmtime::component::{
    Component, Linker, ResourceType,
    types::{ComponentFunc, ComponentItem, Type},
};

use super::{
    contract::Import,
    imports::State,
    log_gate::{Level, LogGate},
};

pub(super) use stdio::Stream;

/// The packages of WASI 0.2 that are linked. Others are as foreign as any import.
const PACKAGES: [&str; 7] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:http",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];

/// An interface of WASI that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasiImport {
    /// `wasi:clocks/wall-clock@0.2.9`
    pub name: String,
    /// What it has to be granted, as the contract's own import of that kind would.
    pub needs: Option<Import>,
}

impl WasiImport {
    /// None if it isn't WASI or of a version other than 0.2.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (package, rest) = name.split_once('/')?;
        let (_, version) = rest.split_once('@')?;
        if !PACKAGES.contains(&package) || !version.starts_with("0.2.") {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            needs: match package {
                "wasi:clocks" => Some(Import::Clock),
                "wasi:random" => Some(Import::Random),
                _ => None,
            },
        })
    }
}

/// What WASI remembers of one instance.
#[derive(Debug, Default)]
pub(super) struct WasiState {
    table: table::Table,
    out: stdio::Lines,
    err: stdio::Lines,
}

impl WasiState {
    /// Takes what was printed; whole lines go to the log.
    pub fn print(&mut self, stream: Stream, bytes: &[u8], log: &LogGate) {
        match stream {
            Stream::Out => self.out.print(bytes, |line| log.write(Level::Info, line)),
            Stream::Err => self.err.print(bytes, |line| log.write(Level::Warn, line)),
        }
    }

    /// Writes lines that were begun and not ended, since nothing more will come of them.
    pub fn end_output(&mut self, log: &LogGate) {
        self.out.end(|line| log.write(Level::Info, line));
        self.err.end(|line| log.write(Level::Warn, line));
    }
}

/// The kinds of handles that a component's imports name, numbered. One kind can have several names:
/// `headers` and `trailers` of `wasi:http` are both `fields`.
#[derive(Default)]
struct Kinds(Vec<ResourceType>);

impl Kinds {
    /// Of a type as the component's own type shows it.
    fn number(&mut self, kind: ResourceType) -> u32 {
        self.find(kind).unwrap_or_else(|| {
            self.0.push(kind);
            (self.0.len() - 1) as u32
        })
    }

    fn find(&self, kind: ResourceType) -> Option<u32> {
        let position = self.0.iter().position(|known| *known == kind)?;
        u32::try_from(position).ok()
    }

    /// The kind that a function hands out, if that is all it does.
    fn made_by(&self, function: &ComponentFunc) -> Option<u32> {
        match function.results().next()? {
            Type::Own(kind) => self.find(kind),
            _ => None,
        }
    }
}

/// Links all that `component` imports of WASI.
pub(super) fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    let kind = component.component_type();
    let mut kinds = Kinds::default();
    for (interface, item) in kind.imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        if WasiImport::parse(interface).is_none() {
            continue;
        }
        let mut linker = linker.instance(interface)?;
        // A kind is declared before functions that name it.
        for (name, export) in instance.exports(&engine) {
            if let ComponentItem::Resource(kind) = export.ty {
                let kind = ResourceType::host_dynamic(kinds.number(kind));
                linker.resource(name, kind, |mut store, at| {
                    store.data_mut().wasi().table.remove(at);
                    Ok(())
                })?;
            }
        }
        for (name, export) in instance.exports(&engine) {
            if let ComponentItem::ComponentFunc(function) = export.ty {
                let made = kinds.made_by(&function);
                if !works::link(&mut linker, interface, name, made)? {
                    denied::link(&mut linker, interface, name, made)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_0_2_of_the_usual_packages_is_linked_and_nothing_else() {
        let needs = |name| WasiImport::parse(name).map(|import| import.needs);
        assert_eq!(needs("wasi:cli/stdout@0.2.0"), Some(None));
        assert_eq!(
            needs("wasi:clocks/wall-clock@0.2.12"),
            Some(Some(Import::Clock))
        );
        assert_eq!(
            needs("wasi:random/insecure-seed@0.2.3"),
            Some(Some(Import::Random))
        );
        for foreign in [
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout",
            "wasi:keyvalue/store@0.2.0",
            "wasi:clocksmith/wall@0.2.0",
            "weir:plugin/log@0.1.0",
        ] {
            assert_eq!(WasiImport::parse(foreign), None, "{foreign}");
        }
    }
}
