//! Plugins for the tests: components made at run time out of a few lines of WebAssembly text, so that a
//! test can have a plugin do what no compiler would let it do. No Wasm toolchain is needed.
//!
//! A [`Guest`] begins as a harmless plugin of its kind. A test replaces the body of one function:
//!
//! ```
//! use weir_wat_guests::{Guest, Kind};
//!
//! let endless = Guest::new(Kind::Balancer).with("pick", "(loop br 0) unreachable");
//! assert!(endless.build().starts_with(b"\0asm"));
//! ```
//!
//! Values cross the border as the canonical ABI lays them out: a list is an address and a length, a
//! record that is given back is the address of its bytes. [`Guest::text`] and [`Guest::words`]
//! put such things into memory.

mod functions;
mod image;

use std::{collections::BTreeSet, fmt::Write};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use functions::{FUNCTIONS, Function};
use image::Image;

const CONTRACT: &str = include_str!("../../../wit/v0.1/weir-plugin.wit");
const WASI: &str = include_str!("wasi.wit");

/// The world that a guest is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ConnectionFilter,
    RequestFilter,
    ResponseFilter,
    /// Both directions.
    Filter,
    Balancer,
    AheadBalancer,
    FeedbackBalancer,
    Persistence,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::ConnectionFilter,
        Self::RequestFilter,
        Self::ResponseFilter,
        Self::Filter,
        Self::Balancer,
        Self::AheadBalancer,
        Self::FeedbackBalancer,
        Self::Persistence,
    ];

    fn world(self) -> &'static str {
        match self {
            Self::ConnectionFilter => "connection-filter-plugin",
            Self::RequestFilter => "request-filter-plugin",
            Self::ResponseFilter => "response-filter-plugin",
            Self::Filter => "filter-plugin",
            Self::Balancer => "balancer-plugin",
            Self::AheadBalancer => "ahead-balancer-plugin",
            Self::FeedbackBalancer => "feedback-balancer-plugin",
            Self::Persistence => "persistence-plugin",
        }
    }

    fn exports(self, interface: &str) -> bool {
        match interface {
            "lifecycle" => true,
            "connection-filter" => self == Self::ConnectionFilter,
            "request-filter" => matches!(self, Self::RequestFilter | Self::Filter),
            "response-filter" => matches!(self, Self::ResponseFilter | Self::Filter),
            "balancer" => matches!(
                self,
                Self::Balancer | Self::AheadBalancer | Self::FeedbackBalancer
            ),
            "balancer-ahead" => self == Self::AheadBalancer,
            "balancer-feedback" => self == Self::FeedbackBalancer,
            "persistence" => self == Self::Persistence,
            _ => false,
        }
    }
}

/// A plugin in the making.
#[derive(Debug, Clone)]
pub struct Guest {
    kind: Kind,
    version: String,
    pages: u32,
    bodies: Vec<(String, String)>,
    later: Vec<(String, String)>,
    items: String,
    imports: Vec<(&'static str, &'static str, &'static str)>,
    /// Interfaces of WASI, with the version; functions of them are among `imports`.
    wasi: Vec<&'static str>,
    image: Image,
    schema: (u32, u32),
    name: (u32, u32),
    inputs: Vec<(String, Vec<String>)>,
    backends: Vec<String>,
    features: Vec<String>,
}

impl Guest {
    /// A plugin that does nothing: passes, picks the first server, remembers nobody.
    pub fn new(kind: Kind) -> Self {
        let mut image = Image::new();
        let name = image.text("guest");
        Self {
            kind,
            version: "0.1.0".to_owned(),
            pages: 4,
            bodies: Vec::new(),
            later: Vec::new(),
            items: String::new(),
            imports: Vec::new(),
            wasi: Vec::new(),
            image,
            schema: (0, 0),
            name,
            inputs: Vec::new(),
            backends: Vec::new(),
            features: Vec::new(),
        }
    }

    /// Replaces the body of a function: one of the contract's by its name (`on-request`, `pick`, ...),
    /// `realloc`, `post-return` (of every function that gives back a record or list) or `start`.
    ///
    /// Parameters have the names `functions.rs` gives them; `$heap` is the next free address.
    pub fn with(mut self, function: &str, body: &str) -> Self {
        let known = FUNCTIONS.iter().any(|known| known.name == function)
            || ["realloc", "post-return", "start"].contains(&function);
        assert!(known, "no function `{function}` to replace");
        self.bodies.push((function.to_owned(), body.to_owned()));
        self
    }

    /// Has a function misbehave from its second call on, so that the plugin gets past the trial calls that
    /// are made when it is loaded: `body` runs before what the function else does.
    pub fn later(mut self, function: &str, body: &str) -> Self {
        let known = FUNCTIONS.iter().any(|known| known.name == function);
        assert!(known, "no function `{function}` to misbehave in");
        self.later.push((function.to_owned(), body.to_owned()));
        self
    }

    /// Adds fields to the core module: functions, globals, tables, ...
    pub fn item(mut self, text: &str) -> Self {
        self.items.push_str(text);
        self.items.push('\n');
        self
    }

    /// Imports `function` of one of the contract's host interfaces under the name `$INTERFACE.FUNCTION`;
    /// `signature` is its core type, such as `(param i32 i32 i32)`.
    pub fn import(
        mut self,
        interface: &'static str,
        function: &'static str,
        signature: &'static str,
    ) -> Self {
        self.imports.push((interface, function, signature));
        self
    }

    /// Imports `function` of an interface of WASI, such as `wasi:cli/stdout@0.2.3`, under the name
    /// `$INTERFACE.FUNCTION`, here `$stdout.get-stdout`, and without what stands in brackets:
    /// `$streams.output-stream.write`. `wasi.wit` says which there are.
    pub fn wasi(
        mut self,
        interface: &'static str,
        function: &'static str,
        signature: &'static str,
    ) -> Self {
        self.imports.push((interface, function, signature));
        self.wasi.push(interface);
        self
    }

    /// Has the guest written against another version of the contract.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The memory it begins with, in pages of 64 KiB.
    pub fn pages(mut self, pages: u32) -> Self {
        self.pages = pages;
        self
    }

    /// The JSON Schema that it describes for its config.
    pub fn schema(mut self, schema: &str) -> Self {
        self.schema = self.image.text(schema);
        self
    }

    /// Asks for inputs of a hook.
    pub fn inputs(mut self, hook: &str, inputs: &[&str]) -> Self {
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.inputs.push((hook.to_owned(), inputs));
        self
    }

    /// Names the backends that it may route to.
    pub fn backends(mut self, backends: &[&str]) -> Self {
        self.backends = backends.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Asks for features.
    pub fn features(mut self, features: &[&str]) -> Self {
        self.features = features.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Puts a text into memory, and answers with where it is.
    pub fn text(&mut self, text: &str) -> (u32, u32) {
        self.image.text(text)
    }

    /// Puts bytes into memory, aligned to 8, and answers with their address.
    pub fn data(&mut self, bytes: &[u8]) -> u32 {
        self.image.data(bytes)
    }

    /// Puts the words of a record or list into memory, and answers with their address.
    pub fn words(&mut self, words: &[u32]) -> u32 {
        self.image.words(words)
    }

    /// The component. Panics if a body isn't valid: the test is wrong then.
    pub fn build(&self) -> Vec<u8> {
        let text = self.core_text();
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut resolve = Resolve::default();
        let contract = CONTRACT.replace(
            "weir:plugin@0.1.0",
            &format!("weir:plugin@{}", self.version),
        );
        let mut package = resolve
            .push_str("weir-plugin.wit", &contract)
            .expect("the contract is valid");
        let mut world = self.kind.world();
        if !self.wasi.is_empty() {
            resolve
                .push_str("wasi.wit", WASI)
                .expect("our part of WASI is valid");
            package = resolve
                .push_str("guest.wit", &self.world_with_wasi())
                .expect("there are such interfaces");
            world = "guest";
        }
        let world = resolve
            .select_world(&[package], Some(world))
            .expect("the package has the world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("a world can be embedded");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(ComponentEncoder::encode)
            .unwrap_or_else(|error| panic!("{error:#}\n{text}"))
    }

    /// A world of the contract and what is imported of WASI besides.
    fn world_with_wasi(&self) -> String {
        let (world, version) = (self.kind.world(), &self.version);
        let mut text = format!(
            "package weir:guest;\nworld guest {{\ninclude weir:plugin/{world}@{version};\n"
        );
        let interfaces: BTreeSet<_> = self.wasi.iter().collect();
        for interface in interfaces {
            line(&mut text, format_args!("import {interface};"));
        }
        text.push('}');
        text
    }

    fn core_text(&self) -> String {
        let mut image = self.image.clone();
        let describe = image.words(&[
            self.name.0,
            self.name.1,
            0,
            0,
            0,
            0,
            self.schema.0,
            self.schema.1,
        ]);
        let needs = self.needs(&mut image);
        let mut text = String::from("(module\n");
        for (interface, function, signature) in &self.imports {
            let (package, name) = match interface.strip_prefix("wasi:") {
                None => (self.interface(interface), *interface),
                Some(rest) => {
                    let name = rest.split(['/', '@']).nth(1).expect("an interface's name");
                    ((*interface).to_owned(), name)
                }
            };
            let label = function.split_once(']').map_or(*function, |(_, name)| name);
            line(
                &mut text,
                format_args!(
                    "(import \"{package}\" \"{function}\" (func ${name}.{label} {signature}))"
                ),
            );
        }
        line(
            &mut text,
            format_args!("(memory (export \"memory\") {})", self.pages),
        );
        line(
            &mut text,
            format_args!("(global $heap (mut i32) (i32.const {HEAP}))"),
        );
        line(&mut text, format_args!("{}", image.segment()));
        for function in &FUNCTIONS {
            if self.kind.exports(function.interface) {
                let given = match function.name {
                    "describe" => describe,
                    "configure" => needs,
                    _ => image::ZEROS,
                };
                self.function(&mut text, function, given);
            }
        }
        let realloc = self.body("realloc").unwrap_or(REALLOC);
        line(
            &mut text,
            format_args!(
                "(func (export \"cabi_realloc\") (param $old i32) (param $old_size i32) \
             (param $align i32) (param $size i32) (result i32) (local $at i32)\n{realloc})"
            ),
        );
        if let Some(start) = self.body("start") {
            line(
                &mut text,
                format_args!("(func $start {start})\n(start $start)"),
            );
        }
        text.push_str(&self.items);
        text.push(')');
        text
    }

    fn function(&self, text: &mut String, function: &Function, given: u32) {
        let package = self.interface(function.interface);
        let Function {
            name,
            parameters,
            result,
            ..
        } = function;
        let default = format!("(i32.const {given})");
        let body = self.body(name).unwrap_or(match *name {
            "update" | "observe" => "",
            "pick" => PICK_FIRST,
            "picks" => PICK_NOBODY,
            _ => &default,
        });
        let mut late = String::new();
        for (_, evil) in self.later.iter().filter(|(function, _)| function == name) {
            line(
                text,
                format_args!("(global ${name}-called (mut i32) (i32.const 0))"),
            );
            line(
                &mut late,
                format_args!(
                    "(if (global.get ${name}-called) (then {evil}))\n\
                     (global.set ${name}-called (i32.const 1))"
                ),
            );
        }
        line(
            text,
            format_args!(
                "(func (export \"{package}#{name}\") {parameters} {result}\n{late}{body})"
            ),
        );
        // What was allocated for the call is free again after it.
        let parameter = if result.is_empty() {
            ""
        } else {
            "(param $result i32)"
        };
        let free = self.body("post-return").unwrap_or("");
        line(
            text,
            format_args!(
                "(func (export \"cabi_post_{package}#{name}\") {parameter} {free}\n\
             (global.set $heap (i32.const {HEAP})))"
            ),
        );
    }

    fn needs(&self, image: &mut Image) -> u32 {
        let mut hooks = Vec::new();
        for (hook, inputs) in &self.inputs {
            let hook = image.text(hook);
            let inputs = image.texts(inputs);
            hooks.extend([hook.0, hook.1, inputs.0, inputs.1]);
        }
        let count = u32::try_from(self.inputs.len()).expect("a few hooks");
        let hooks = image.words(&hooks);
        let backends = image.texts(&self.backends);
        let features = image.texts(&self.features);
        // The first word is the case `ok` of the result.
        image.words(&[
            0, hooks, count, backends.0, backends.1, features.0, features.1,
        ])
    }

    fn body(&self, function: &str) -> Option<&str> {
        let replaced = self.bodies.iter().rev().find(|(name, _)| name == function);
        replaced.map(|(_, body)| body.as_str())
    }

    fn interface(&self, name: &str) -> String {
        format!("weir:plugin/{name}@{}", self.version)
    }
}

/// Where what is allocated for calls begins: past all data.
const HEAP: u32 = image::LIMIT;

const PICK_FIRST: &str = "(i32.store8 (i32.const 128) (i32.const 1)) (i32.const 128)";

/// None for each of up to fourteen turns.
const PICK_NOBODY: &str = "
    (i32.store (i32.const 128) (i32.const 16))
    (i32.store (i32.const 132) (local.get $turns))
    (i32.const 128)";

/// Hands out memory from the heap, growing it by what is missing; traps when there is no more.
const REALLOC: &str = "
    (local.set $at (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $fits
        (br_if $fits (i32.le_u (global.get $heap) (i32.shl (memory.size) (i32.const 16))))
        (br_if $fits (i32.ne (i32.const -1) (memory.grow
            (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)))))
        unreachable)
    (local.get $at)";

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a String takes all");
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_makes_a_valid_component() {
        for kind in Kind::ALL {
            let guest = Guest::new(kind)
                .inputs("on-request", &["path", "header(x)"])
                .backends(&["static"])
                .schema("{}");
            assert!(guest.build().starts_with(b"\0asm\x0d"), "{kind:?}");
        }
    }

    #[test]
    #[should_panic(expected = "no function `pik`")]
    fn a_misspelt_function_is_not_ignored() {
        let _ = Guest::new(Kind::Balancer).with("pik", "unreachable");
    }
}
