//! Writes components by hand that no compiler makes: to break the contract, the loader or the pool of the
//! engine, and nothing else. They are components of the contract's validation world unless told otherwise.
//!
//! It is a crate of its own, and no dependency of tests alone, so that what it needs does not make cargo
//! build wasmtime a second time with other features.
#![forbid(unsafe_code)]

use std::path::Path;

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: &str = include_str!("../../../wit/0.1/policy.wit");

/// A core module that exports a validation policy which inspects all bytes and accepts, with some of its
/// functions written otherwise.
///
/// What functions answer lies at fixed places: 512 is `ok`, 640 `ok(inspect(all))`, 768 a description.
pub struct HandMade {
    /// The body of `describe`, in the text format.
    pub describe: &'static str,
    /// That of `configure`.
    pub configure: &'static str,
    /// That of `admit`.
    pub admit: &'static str,
    /// That of `chunk`.
    pub chunk: &'static str,
    /// That of `finish`.
    pub finish: &'static str,
    /// Pages of memory: how many there are at the start.
    pub memory: &'static str,
    /// More of the module.
    pub more: String,
}

impl Default for HandMade {
    fn default() -> Self {
        Self {
            describe: "(i32.const 768)",
            configure: "(i32.const 512)",
            admit: "(i32.const 640)",
            chunk: "(i32.const 512)",
            finish: "(i32.const 512)",
            memory: "1",
            more: String::new(),
        }
    }
}

impl HandMade {
    /// The component.
    ///
    /// # Errors
    ///
    /// What was written does not parse, or does not fit the contract.
    pub fn component(&self) -> Result<Vec<u8>> {
        let Self {
            describe,
            configure,
            admit,
            chunk,
            finish,
            memory,
            more,
        } = self;
        let module = format!(
            r#"(module
                (memory (export "memory") {memory})
                (data (i32.const 16) "hand-made1.0.0x{{}}")
                (data (i32.const 640) "\00\00\00\00\00\00\00\00\02\00\00\00\00\00\00\00\01")
                (data (i32.const 768)
                    "\10\00\00\00\09\00\00\00\19\00\00\00\05\00\00\00\1e\00\00\00\01\00\00\00\1f\00\00\00\02\00\00\00")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
                (func (export "portcullis:policy/validation@0.1.0#describe") (result i32) {describe})
                (func (export "portcullis:policy/validation@0.1.0#configure") (param i32 i32) (result i32) {configure})
                (func (export "portcullis:policy/validation@0.1.0#admit") (param i32) (result i32) {admit})
                (func (export "portcullis:policy/validation@0.1.0#chunk") (param i64 i32 i32) (result i32) {chunk})
                (func (export "portcullis:policy/validation@0.1.0#finish") (param i64 i32 i32) (result i32) {finish})
                (func (export "portcullis:policy/validation@0.1.0#suspend") (result i32) unreachable)
                (func (export "portcullis:policy/validation@0.1.0#resume") (param i32) (result i32) unreachable)
                {more})"#
        );
        let mut module = parse(&module)?;
        let mut resolve = Resolve::default();
        let package = resolve.push_str(Path::new("policy.wit"), WIT)?;
        let world = resolve.select_world(&[package], Some("validation-policy"))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        let encoder = ComponentEncoder::default().module(&module)?;
        encoder.validate(false).encode()
    }
}

/// A module or a component in the text format, as bytes.
///
/// # Errors
///
/// It does not parse.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    wat::parse_str(text).context("the text does not parse")
}

/// The same bytes with `from` written as `to`, which has the same length, wherever it stands.
pub fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}
