//! The engine with real components. `cargo xtask policies` builds them.

mod failing;
mod judging;
mod reloading;
mod set;
mod shadow;
