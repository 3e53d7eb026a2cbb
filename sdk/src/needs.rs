//! What a plugin asks for when it is configured, and the handles it gets in return.

use std::{fmt, marker::PhantomData};

use crate::{
    contract::lifecycle::exports::weir::plugin::lifecycle as contract,
    hook::{Hook, NAMES, OnConnection, OnRequest, OnResponse, SeesResponse, sealed::Hook as _},
    input::{Input, ResponseInput},
};

/// What a plugin needs from the proxy. Filled in [`Plugin::configure`](crate::Plugin::configure).
///
/// Each input costs some 60 ns per call, so ask for those that the config makes necessary. Asking twice
/// for the same costs nothing.
#[derive(Debug, Default)]
pub struct Needs {
    inputs: [Vec<String>; NAMES.len()],
    backends: Vec<String>,
    features: Vec<&'static str>,
    /// Hooks that are named even without inputs.
    named: [bool; NAMES.len()],
}

/// Where a value will be among the [`Values`](crate::Values) of hook `H`.
pub struct Handle<H: Hook> {
    pub(crate) position: usize,
    hook: PhantomData<fn() -> H>,
}

/// A backend that the plugin may route to. The proxy has checked that it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendRef(pub(crate) u32);

impl Needs {
    /// Asks for a fact about the request. For which hook follows from the handle's type.
    pub fn input<H: Hook>(&mut self, input: Input) -> Handle<H> {
        self.add(input.to_string())
    }

    /// Asks for a fact about the response.
    pub fn response_input<H: SeesResponse>(&mut self, input: ResponseInput) -> Handle<H> {
        self.add(input.to_string())
    }

    /// The last header field of that name.
    pub fn header<H: Hook>(&mut self, name: &str) -> Handle<H> {
        self.input(Input::Header(name.to_owned()))
    }

    /// The first cookie of that name.
    pub fn cookie<H: Hook>(&mut self, name: &str) -> Handle<H> {
        self.input(Input::Cookie(name.to_owned()))
    }

    /// A variable that an earlier filter has set.
    pub fn var<H: Hook>(&mut self, name: &str) -> Handle<H> {
        self.input(Input::Var(name.to_owned()))
    }

    /// The last header field of that name in the response.
    pub fn response_header<H: SeesResponse>(&mut self, name: &str) -> Handle<H> {
        self.response_input(ResponseInput::Header(name.to_owned()))
    }

    /// Says that the plugin may route to this backend. If there is none of that name, loading the plugin
    /// fails with a message that says so.
    pub fn backend(&mut self, name: &str) -> BackendRef {
        BackendRef(position_of(&mut self.backends, name.to_owned()) as u32)
    }

    /// Balancers: [`Pick::loads`](crate::Pick::loads) is to hold the live number of exchanges per server.
    pub fn loads(&mut self) {
        self.feature("loads");
    }

    /// Persistence: `assigned` is to be called for every response, not only when the exchange went to another
    /// server than the one that was looked up.
    pub fn always_assigned(&mut self) {
        self.feature("always-assigned");
    }

    /// Says that what the hooks other than `pick` answer follows from what they are called with and from the
    /// contents of the maps: not from the clock, from random numbers, or from earlier calls. The proxy may
    /// then give an answer again instead of calling.
    pub fn repeatable(&mut self) {
        self.feature("repeatable");
    }

    /// Filters of both directions: be asked about every response even if no fact about it is needed. A
    /// plugin that asked for such a fact, or is a [`ResponseFilter`](crate::ResponseFilter) alone, is asked
    /// anyway.
    pub fn responses(&mut self) {
        self.named[OnResponse::POSITION] = true;
    }

    /// Filters that judge more than connections: be asked about every connection even if no fact about it
    /// is needed. A plugin that asked for such a fact, or is a
    /// [`ConnectionFilter`](crate::ConnectionFilter) alone, is asked anyway.
    pub fn connections(&mut self) {
        self.named[OnConnection::POSITION] = true;
    }

    /// Filters that judge connections too: be asked about every request even if no fact about it is needed.
    /// Without this, a plugin that asked for facts about connections and none about requests hears of
    /// connections only.
    pub fn requests(&mut self) {
        self.named[OnRequest::POSITION] = true;
    }

    pub(crate) fn into_contract(self) -> contract::Needs {
        let inputs = NAMES
            .into_iter()
            .zip(self.inputs)
            .zip(self.named)
            .filter(|((_, inputs), named)| *named || !inputs.is_empty())
            .map(|((hook, inputs), _)| contract::HookInputs {
                hook: hook.to_owned(),
                inputs,
            })
            .collect();
        contract::Needs {
            inputs,
            backends: self.backends,
            features: self.features.into_iter().map(str::to_owned).collect(),
        }
    }

    fn add<H: Hook>(&mut self, input: String) -> Handle<H> {
        Handle {
            position: position_of(&mut self.inputs[H::POSITION], input),
            hook: PhantomData,
        }
    }

    fn feature(&mut self, name: &'static str) {
        if !self.features.contains(&name) {
            self.features.push(name);
        }
    }
}

fn position_of(names: &mut Vec<String>, name: String) -> usize {
    names
        .iter()
        .position(|known| *known == name)
        .unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        })
}

impl<H: Hook> Clone for Handle<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Hook> Copy for Handle<H> {}

impl<H: Hook> PartialEq for Handle<H> {
    fn eq(&self, other: &Self) -> bool {
        self.position == other.position
    }
}

impl<H: Hook> Eq for Handle<H> {}

impl<H: Hook> fmt::Debug for Handle<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({}, {})", NAMES[H::POSITION], self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_can_be_asked_for_without_any_fact_about_them() {
        let mut needs = Needs::default();
        assert!(needs.into_contract().inputs.is_empty());
        needs = Needs::default();
        needs.responses();
        let [named] = &needs.into_contract().inputs[..] else {
            panic!("one hook is named");
        };
        assert_eq!(named.hook, "on-response");
        assert!(named.inputs.is_empty());
    }
}
