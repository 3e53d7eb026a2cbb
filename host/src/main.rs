//! The `weir` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Connections borrow and give back pieces of a few sizes by the thousand, which the C library's allocator keeps
/// no more than seven of at hand.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    weir::cli::main()
}
