//! What a function answers behind which there is nothing: the refusal that its own type offers.
//!
//! A plugin that imports such a function runs until it is called, and mostly afterwards too, since
//! programs are prepared to be refused a file.

use wasmtime::{
    StoreContextMut,
    component::{LinkerInstance, ResourceDynamic, Val, types::Type},
};

use super::table::Resource;
use crate::plugin::imports::State;

/// The cases by which WASI's error types say no, in the order of how well they say it.
const REFUSALS: [&str; 8] = [
    "access-denied",
    "not-permitted",
    "access",
    "HTTP-request-denied",
    "forbidden",
    "closed",
    "not-supported",
    "unsupported",
];

/// Why a call of WASI ended the call of the plugin.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    #[error("it called `{0}`, and plugins have no access to that")]
    NoAccess(String),
    #[error("it wants to wait (`{0}`), and a plugin's call cannot")]
    Waits(String),
    #[error("it ended itself with `wasi:cli/exit`")]
    Exits,
    #[error("it wants {0} random bytes at once, and {limit} is the limit", limit = super::works::RANDOM_LIMIT)]
    TooRandom(u64),
}

/// `wasi:filesystem/types@0.2.9` and `[method]descriptor.read` as people write it.
pub(super) fn shown(interface: &str, function: &str) -> String {
    let interface = interface.split('@').next().unwrap_or(interface);
    let function = function.split_once(']').map_or(function, |(_, name)| name);
    format!("{interface}.{function}")
}

/// Defines a function that denies. `made` is the kind of handle that it hands out.
pub fn link(
    linker: &mut LinkerInstance<'_, State>,
    interface: &str,
    function: &str,
    made: Option<u32>,
) -> wasmtime::Result<()> {
    let shown = shown(interface, function);
    linker.func_new(function, move |mut store, kind, parameters, results| {
        store.data_mut().count_import()?;
        for (result, kind) in results.iter_mut().zip(kind.results()) {
            *result =
                refusal(&kind, &mut store, made)?.ok_or_else(|| Denial::NoAccess(shown.clone()))?;
        }
        drop_all(parameters, &mut store)
    })
}

/// A value of the type that says no; none if the type has no room for that.
fn refusal(
    kind: &Type,
    store: &mut StoreContextMut<'_, State>,
    made: Option<u32>,
) -> wasmtime::Result<Option<Val>> {
    Ok(match kind {
        Type::Result(result) => match result.err() {
            None => Some(Val::Result(Err(None))),
            Some(error) => error_value(&error).map(|error| Val::Result(Err(Some(Box::new(error))))),
        },
        Type::Option(_) => Some(Val::Option(None)),
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Own(_) => match made {
            // Something to hold, and all that can be done with it is refused again.
            Some(made) => {
                let at = store.data_mut().wasi().table.insert(Resource::Husk)?;
                let handle = ResourceDynamic::new_own(at, made);
                Some(Val::Resource(handle.try_into_resource_any(store)?))
            }
            None => None,
        },
        _ => None,
    })
}

fn error_value(kind: &Type) -> Option<Val> {
    let said = |names: &[&str]| {
        let refusal = REFUSALS.iter().find(|refusal| names.contains(*refusal))?;
        Some((*refusal).to_owned())
    };
    match kind {
        Type::Enum(kind) => said(&kind.names().collect::<Vec<_>>()).map(Val::Enum),
        Type::Variant(kind) => {
            let bare = kind.cases().filter(|case| case.ty.is_none());
            let names: Vec<&str> = bare.map(|case| case.name).collect();
            said(&names).map(|name| Val::Variant(name, None))
        }
        _ => None,
    }
}

/// Handles that were passed are given back: those that were lent must be, those that were given away
/// free their place.
fn drop_all(values: &[Val], store: &mut StoreContextMut<'_, State>) -> wasmtime::Result<()> {
    for value in values {
        match value {
            Val::Resource(resource) => resource.resource_drop(&mut *store)?,
            Val::List(values) | Val::Tuple(values) => drop_all(values, store)?,
            Val::Record(fields) => {
                for (_, value) in fields {
                    drop_all(std::slice::from_ref(value), store)?;
                }
            }
            Val::Variant(_, Some(value))
            | Val::Option(Some(value))
            | Val::Result(Ok(Some(value)) | Err(Some(value))) => {
                drop_all(std::slice::from_ref(value), store)?;
            }
            _ => {}
        }
    }
    Ok(())
}
