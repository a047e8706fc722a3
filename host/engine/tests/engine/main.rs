//! The engine with real components. `cargo xtask policies` builds them.

mod judging;
mod reloading;
mod set;
mod shadow;
