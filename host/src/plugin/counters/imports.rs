//! The import `counters`: what plugins call, on the tables that were granted.

use std::sync::Arc;

use wasmtime::{
    StoreContextMut,
    component::{Linker, LinkerInstance, WasmStr},
};

use crate::plugin::{contract::full_name, imports::State};

use super::{
    Hold, Table,
    consulted::{Answer, Consulted, Question},
};

/// Makes `counters` available.
pub(in crate::plugin) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut counters = linker.instance(&full_name("counters"))?;
    counters.func_wrap(
        "declared",
        |mut store: StoreContextMut<'_, State>, (table,): (WasmStr,)| {
            store.data_mut().count_import()?;
            let table = table.to_str(&store)?;
            let table = store.data().counters(&table);
            Ok((table.map(|table| declared(table)),))
        },
    )?;
    link_counts(&mut counters)?;
    link_values(&mut counters)
}

/// Names and windows, in milliseconds; 0 for a total.
fn declared(table: &Table) -> Vec<(String, u64)> {
    let counters = table.counters();
    counters
        .map(|(name, window)| (name.to_owned(), window.unwrap_or(0)))
        .collect()
}

/// A table, a counter of it and a key.
type Named = (WasmStr, WasmStr, WasmStr);

fn link_counts(counters: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    counters.func_wrap(
        "add",
        |mut store: StoreContextMut<'_, State>,
         (table, counter, key, amount): (WasmStr, WasmStr, WasmStr, u64)| {
            on_counter(
                &mut store,
                ("add", amount),
                (table, counter, key),
                |state, table, counter, key| {
                    let now = state.counting_clock();
                    // Without a connection nothing can last as long as one.
                    let in_vain = table.is_held(counter) && !state.can_hold();
                    match state.is_on_trial() || in_vain {
                        // What is there already: a shadow is asked after the version that counts.
                        true => Some(table.read(counter, key, now).unwrap_or(amount)),
                        false => table.add(counter, key, amount, now),
                    }
                },
            )
        },
    )?;
    counters.func_wrap(
        "read",
        |mut store: StoreContextMut<'_, State>, named: Named| {
            on_counter(
                &mut store,
                ("read", 0),
                named,
                |state, table, counter, key| table.read(counter, key, state.counting_clock()),
            )
        },
    )?;
    counters.func_wrap(
        "falls-to",
        |mut store: StoreContextMut<'_, State>,
         (table, counter, key, most): (WasmStr, WasmStr, WasmStr, u64)| {
            on_counter(
                &mut store,
                ("falls-to", most),
                (table, counter, key),
                |state, table, counter, key| {
                    table.falls_to(counter, key, most, state.counting_clock())
                },
            )
        },
    )
}

/// Has `act` answer about a key's counter; none if there is no such counter in a table that was granted.
fn on_counter(
    store: &mut StoreContextMut<'_, State>,
    (function, number): (&'static str, u64),
    (table, counter, key): Named,
    act: impl FnOnce(&State, &Arc<Table>, usize, &str) -> Option<u64>,
) -> wasmtime::Result<(Option<u64>,)> {
    store.data_mut().count_import()?;
    let (table, counter) = (table.to_str(&*store)?, counter.to_str(&*store)?);
    let key = key.to_str(&*store)?;
    let state = store.data();
    let found = state
        .counters(&table)
        .and_then(|table| Some((table, table.counter(&counter)?)));
    let answer = found.and_then(|(table, counter)| act(state, table, counter, &key));
    let lasts = function == "add" && answer.is_some() && state.can_hold();
    let held = found.filter(|(table, counter)| lasts && table.is_held(*counter));
    let hold = held.map(|(table, counter)| Hold {
        table: Arc::clone(table),
        counter,
        key: key.to_string(),
        amount: number,
    });
    let question = state.is_watched().then(|| Question {
        counter: counter.into_owned(),
        number,
        ..about(function, &table, &key)
    });
    if let Some(hold) = hold {
        store.data_mut().hold(hold);
    }
    Ok((match question {
        None => answer,
        Some(question) => settled(store, question, answer),
    },))
}

fn link_values(counters: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    counters.func_wrap(
        "value",
        |mut store: StoreContextMut<'_, State>, (table, key): (WasmStr, WasmStr)| {
            store.data_mut().count_import()?;
            let (table, key) = (table.to_str(&store)?, key.to_str(&store)?);
            let state = store.data();
            let granted = state.counters(&table);
            let value = granted.and_then(|table| table.value(&key, state.counting_clock()));
            if !state.is_watched() {
                return Ok((value,));
            }
            let question = about("value", &table, &key);
            Ok((settled(&mut store, question, value),))
        },
    )?;
    counters.func_wrap(
        "set-value",
        |mut store: StoreContextMut<'_, State>,
         (table, key, value): (WasmStr, WasmStr, WasmStr)| {
            store.data_mut().count_import()?;
            let (table, key) = (table.to_str(&store)?, key.to_str(&store)?);
            let value = value.to_str(&store)?;
            let state = store.data();
            let kept = state.counters(&table).is_some_and(|table| {
                state.is_on_trial() || table.set_value(&key, &value, state.counting_clock())
            });
            if !state.is_watched() {
                return Ok((kept,));
            }
            let question = Question {
                text: value.into_owned(),
                ..about("set-value", &table, &key)
            };
            Ok((settled(&mut store, question, kept),))
        },
    )?;
    counters.func_wrap(
        "remove",
        |mut store: StoreContextMut<'_, State>, (table, key): (WasmStr, WasmStr)| {
            store.data_mut().count_import()?;
            let (table, key) = (table.to_str(&store)?, key.to_str(&store)?);
            let state = store.data();
            let removed = state.counters(&table).is_some_and(|table| {
                !state.is_on_trial() && table.remove(&key, state.counting_clock())
            });
            if !state.is_watched() {
                return Ok((removed,));
            }
            let question = about("remove", &table, &key);
            Ok((settled(&mut store, question, removed),))
        },
    )
}

fn about(function: &'static str, table: &str, key: &str) -> Question {
    Question {
        function,
        table: table.to_owned(),
        counter: String::new(),
        key: key.to_owned(),
        number: 0,
        text: String::new(),
    }
}

/// The answer that is given: `own`, unless a recording that is replayed has another one. Notes it where the call is
/// recorded.
fn settled<A: Answer>(store: &mut StoreContextMut<'_, State>, question: Question, own: A) -> A {
    let recorded = store.data().recorded(&question).and_then(A::of);
    let answer = recorded.unwrap_or(own);
    let told = answer.told();
    store.data_mut().consulted(Consulted { question, told });
    answer
}
