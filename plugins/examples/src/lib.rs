//! Ten short policies to begin with, each in a file of its own under `examples/`, with its cases under `fixtures/`.
//! There is nothing here: `cargo xtask policies` compiles them, and the tests run their cases.
#![forbid(unsafe_code)]
