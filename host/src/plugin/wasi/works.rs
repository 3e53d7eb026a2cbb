//! The functions of WASI that do something: printing, telling the time, random numbers, and the handles
//! that these need.

use std::time::Duration;

use wasmtime::{
    StoreContextMut,
    component::{ComponentType, LinkerInstance, Lower, ResourceDynamic, WasmList},
};

use super::{
    Stream,
    denied::{Denial, shown},
    table::Resource,
};
use crate::plugin::imports::State;

/// Random bytes that one call can have.
pub const RANDOM_LIMIT: u64 = 64 * 1024;

/// What a stream takes at a time. It takes more in fact; this only tells a program how to cut it.
const PERMIT: u64 = 64 * 1024;

type Store<'a> = StoreContextMut<'a, State>;
type Handle = ResourceDynamic;

/// Why a stream gave nothing. The other case of the type, with an error in it, is never made.
#[derive(Debug, ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "a part of the type")]
    Failed(Handle),
    #[component(name = "closed")]
    Closed,
}

#[derive(Debug, ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// Defines a function if it is one of those that work. `made` is the kind of handle that it hands out.
pub fn link(
    linker: &mut LinkerInstance<'_, State>,
    interface: &str,
    function: &str,
    made: Option<u32>,
) -> wasmtime::Result<bool> {
    let (name, _) = interface.split_once('@').unwrap_or((interface, ""));
    let shown = shown(interface, function);
    match (name, function) {
        ("wasi:cli/stdin", "get-stdin") => gives(linker, function, Resource::Husk, made)?,
        ("wasi:cli/stdout", "get-stdout") => {
            gives(linker, function, Resource::Stdout, made)?;
        }
        ("wasi:cli/stderr", "get-stderr") => {
            gives(linker, function, Resource::Stderr, made)?;
        }
        ("wasi:cli/exit", "exit") => linker.func_wrap(
            function,
            |_: Store<'_>, (_,): (Result<(), ()>,)| -> wasmtime::Result<()> {
                Err(Denial::Exits.into())
            },
        )?,
        ("wasi:cli/exit", "exit-with-code") => linker.func_wrap(
            function,
            |_: Store<'_>, (_,): (u8,)| -> wasmtime::Result<()> { Err(Denial::Exits.into()) },
        )?,
        ("wasi:io/streams", _) => return streams(linker, function, made),
        ("wasi:io/poll", _) => return poll(linker, function, shown),
        ("wasi:clocks/monotonic-clock", _) => return monotonic_clock(linker, function, made),
        ("wasi:clocks/wall-clock", _) => return wall_clock(linker, function),
        ("wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed", _) => {
            return random(linker, function);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A function without parameters that hands out a handle.
fn gives(
    linker: &mut LinkerInstance<'_, State>,
    function: &str,
    resource: Resource,
    made: Option<u32>,
) -> wasmtime::Result<()> {
    linker.func_wrap(function, move |mut store: Store<'_>, (): ()| {
        store.data_mut().count_import()?;
        handle(&mut store, resource, made)
    })
}

fn handle(
    store: &mut Store<'_>,
    resource: Resource,
    made: Option<u32>,
) -> wasmtime::Result<(Handle,)> {
    // Linking would have failed if the function didn't give a handle: its type is another then.
    let made = made.ok_or_else(|| wasmtime::Error::msg("a function that makes no handle"))?;
    let at = store.data_mut().wasi().table.insert(resource)?;
    Ok((Handle::new_own(at, made),))
}

fn streams(
    linker: &mut LinkerInstance<'_, State>,
    function: &str,
    made: Option<u32>,
) -> wasmtime::Result<bool> {
    match function {
        "[method]output-stream.check-write" => {
            linker.func_wrap(function, |mut store: Store<'_>, (stream,): (Handle,)| {
                store.data_mut().count_import()?;
                Ok((is_open(&mut store, &stream).map(|()| PERMIT),))
            })?;
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            linker.func_wrap(
                function,
                |mut store: Store<'_>, (stream, bytes): (Handle, WasmList<u8>)| {
                    store.data_mut().count_import()?;
                    let Some(printed) = printed(&mut store, &stream) else {
                        return Ok((Err(StreamError::Closed),));
                    };
                    let bytes = bytes.as_le_slice(&store).to_vec();
                    store.data_mut().print(printed, &bytes);
                    Ok((Ok(()),))
                },
            )?;
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            linker.func_wrap(function, |mut store: Store<'_>, (stream,): (Handle,)| {
                store.data_mut().count_import()?;
                Ok((is_open(&mut store, &stream),))
            })?;
        }
        "[method]input-stream.subscribe" | "[method]output-stream.subscribe" => {
            linker.func_wrap(
                function,
                move |mut store: Store<'_>, (_stream,): (Handle,)| {
                    store.data_mut().count_import()?;
                    handle(&mut store, Resource::Timer(Duration::ZERO), made)
                },
            )?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn is_open(store: &mut Store<'_>, stream: &Handle) -> Result<(), StreamError> {
    printed(store, stream).map(drop).ok_or(StreamError::Closed)
}

/// What is printed by writing to that stream; none if it is closed.
fn printed(store: &mut Store<'_>, stream: &Handle) -> Option<Stream> {
    match store.data_mut().wasi().table.get(stream.rep())? {
        Resource::Stdout => Some(Stream::Out),
        Resource::Stderr => Some(Stream::Err),
        Resource::Timer(_) | Resource::Husk => None,
    }
}

fn poll(
    linker: &mut LinkerInstance<'_, State>,
    function: &str,
    shown: String,
) -> wasmtime::Result<bool> {
    match function {
        "[method]pollable.ready" => {
            linker.func_wrap(function, |mut store: Store<'_>, (pollable,): (Handle,)| {
                store.data_mut().count_import()?;
                Ok((is_ready(&mut store, &pollable),))
            })?;
        }
        "[method]pollable.block" => {
            linker.func_wrap(
                function,
                move |mut store: Store<'_>, (pollable,): (Handle,)| {
                    store.data_mut().count_import()?;
                    match is_ready(&mut store, &pollable) {
                        true => Ok(()),
                        false => Err(Denial::Waits(shown.clone()).into()),
                    }
                },
            )?;
        }
        "poll" => {
            linker.func_wrap(
                function,
                move |mut store: Store<'_>, (pollables,): (Vec<Handle>,)| {
                    store.data_mut().count_import()?;
                    let numbered = (0_u32..).zip(&pollables);
                    let ready: Vec<u32> = numbered
                        .filter(|(_, pollable)| is_ready(&mut store, pollable))
                        .map(|(number, _)| number)
                        .collect();
                    match ready.is_empty() {
                        false => Ok((ready,)),
                        true => Err(Denial::Waits(shown.clone()).into()),
                    }
                },
            )?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn is_ready(store: &mut Store<'_>, pollable: &Handle) -> bool {
    match store.data_mut().wasi().table.get(pollable.rep()) {
        Some(Resource::Timer(due)) => due <= store.data().monotonic_clock(),
        Some(Resource::Stdout | Resource::Stderr | Resource::Husk) | None => true,
    }
}

fn monotonic_clock(
    linker: &mut LinkerInstance<'_, State>,
    function: &str,
    made: Option<u32>,
) -> wasmtime::Result<bool> {
    let timer = move |store: &mut Store<'_>, due: Duration| {
        store.data_mut().count_import()?;
        handle(store, Resource::Timer(due), made)
    };
    match function {
        "now" => linker.func_wrap(function, |mut store: Store<'_>, (): ()| {
            store.data_mut().count_import()?;
            let now = store.data().monotonic_clock().as_nanos();
            Ok((u64::try_from(now).unwrap_or(u64::MAX),))
        })?,
        "resolution" => linker.func_wrap(function, |mut store: Store<'_>, (): ()| {
            store.data_mut().count_import()?;
            Ok((1_u64,))
        })?,
        "subscribe-instant" => {
            linker.func_wrap(function, move |mut store: Store<'_>, (when,): (u64,)| {
                timer(&mut store, Duration::from_nanos(when))
            })?;
        }
        "subscribe-duration" => {
            linker.func_wrap(function, move |mut store: Store<'_>, (wait,): (u64,)| {
                let now = store.data().monotonic_clock();
                timer(&mut store, now + Duration::from_nanos(wait))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn wall_clock(linker: &mut LinkerInstance<'_, State>, function: &str) -> wasmtime::Result<bool> {
    let time: fn(&State) -> Duration = match function {
        "now" => State::wall_clock,
        "resolution" => |_| Duration::from_nanos(1),
        _ => return Ok(false),
    };
    linker.func_wrap(function, move |mut store: Store<'_>, (): ()| {
        store.data_mut().count_import()?;
        let time = time(store.data());
        Ok((Datetime {
            seconds: time.as_secs(),
            nanoseconds: time.subsec_nanos(),
        },))
    })?;
    Ok(true)
}

/// The insecure kind is as good as the other: nobody has to know which a program took.
fn random(linker: &mut LinkerInstance<'_, State>, function: &str) -> wasmtime::Result<bool> {
    match function {
        "get-random-u64" | "get-insecure-random-u64" => {
            linker.func_wrap(function, |mut store: Store<'_>, (): ()| {
                store.data_mut().count_import()?;
                Ok((store.data_mut().random()?,))
            })?;
        }
        "insecure-seed" | "get-insecure-seed" => {
            linker.func_wrap(function, |mut store: Store<'_>, (): ()| {
                store.data_mut().count_import()?;
                let state = store.data_mut();
                Ok(((state.random()?, state.random()?),))
            })?;
        }
        "get-random-bytes" | "get-insecure-random-bytes" => {
            linker.func_wrap(function, |mut store: Store<'_>, (length,): (u64,)| {
                store.data_mut().count_import()?;
                if length > RANDOM_LIMIT {
                    return Err(Denial::TooRandom(length).into());
                }
                let mut bytes = Vec::new();
                while (bytes.len() as u64) < length {
                    bytes.extend_from_slice(&store.data_mut().random()?.to_le_bytes());
                }
                bytes.truncate(length as usize);
                Ok((bytes,))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
