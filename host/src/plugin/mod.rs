//! The only folder that knows wasmtime: loads components, checks them, calls them, survives them.
