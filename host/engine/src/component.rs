//! Components: compiled, digested, and checked for what they import and export.

mod imports;
pub(crate) mod shape;

use std::sync::Arc;

use bytes::Bytes;
use portcullis_types::Sha256Digest;
use wasmtime::component::{Component, InstancePre, Linker, Resource};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::{
    WasiView, cli::WasiCli, cli::WasiCliView, clocks::WasiClocks, clocks::WasiClocksView,
};
use wasmtime_wasi::{
    filesystem::WasiFilesystem, filesystem::WasiFilesystemView, random::WasiRandom,
};

use crate::PolicyKind;
use crate::component::shape::Shape;
use crate::contract::v0_1;
use crate::error::PolicyLoadError;
use crate::guest::Guest;
use crate::set_files::{FileError, SetFiles};

/// The largest component in bytes: a JavaScript engine has about 12 MiB, a Python one about 40.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 64 << 20;

/// A component that may be linked and instantiated.
#[derive(Clone)]
pub(crate) struct CheckedComponent {
    pub(crate) digest: Sha256Digest,
    pub(crate) size_bytes: u64,
    pub(crate) exports: Exports,
}

/// The component, ready to be instantiated as what it is.
#[derive(Clone)]
pub(crate) enum Exports {
    Validation(v0_1::ValidationPolicyPre<Guest>),
    Routing(v0_1::RoutingPolicyPre<Guest>),
}

impl CheckedComponent {
    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        match &self.exports {
            Exports::Validation(pre) => pre.engine(),
            Exports::Routing(pre) => pre.engine(),
        }
    }

    pub(crate) fn kind(&self) -> PolicyKind {
        match self.exports {
            Exports::Validation(_) => PolicyKind::Validation,
            Exports::Routing(_) => PolicyKind::Routing,
        }
    }
}

/// The bytes of a component, by its name in the set, within the limit.
pub(crate) fn read(files: &mut SetFiles, name: &str) -> Result<Bytes, PolicyLoadError> {
    let read = files.get(name, MAX_COMPONENT_BYTES);
    read.map_err(|error| match error {
        FileError::TooLarge(bytes) => PolicyLoadError::TooLarge(bytes),
        FileError::Unreadable(error) => PolicyLoadError::Unreadable(error),
    })
}

/// Compiles a component. This takes long: never on a thread that serves uploads.
///
/// # Errors
///
/// It has one of the problems that its [`Shape`] shows, or is not valid, or does not fit the contract.
pub(crate) fn compile(
    engine: &wasmtime::Engine,
    linker: &Linker<Guest>,
    bytes: &[u8],
    shape: &Shape,
) -> Result<CheckedComponent, PolicyLoadError> {
    let not_a_component = |error: wasmtime::Error| PolicyLoadError::NotAComponent {
        digest: shape.digest,
        cause: one_line(&error),
    };
    let component = Component::from_binary(engine, bytes).map_err(not_a_component)?;
    let link = |error: wasmtime::Error| PolicyLoadError::Link(one_line(&error));
    let instance_pre: InstancePre<Guest> = linker.instantiate_pre(&component).map_err(link)?;
    let exports = match shape.kind()? {
        PolicyKind::Validation => {
            Exports::Validation(v0_1::ValidationPolicyPre::new(instance_pre).map_err(link)?)
        }
        PolicyKind::Routing => {
            Exports::Routing(v0_1::RoutingPolicyPre::new(instance_pre).map_err(link)?)
        }
    };
    Ok(CheckedComponent {
        digest: shape.digest,
        size_bytes: shape.size_bytes,
        exports,
    })
}

/// An error of wasmtime with its causes, on one line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    let causes = error.chain().map(ToString::to_string).collect::<Vec<_>>();
    causes.join(": ").replace('\n', " ")
}

/// All that a component may import.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Arc<Linker<Guest>>> {
    struct Io;
    impl wasmtime::component::HasData for Io {
        type Data<'a> = &'a mut wasmtime::component::ResourceTable;
    }
    let mut linker = Linker::<Guest>::new(engine);
    let l = &mut linker;
    v0_1::add_to_linker(l)?;
    io::error::add_to_linker::<Guest, Io>(l, |guest| guest.ctx().table)?;
    io::poll::add_to_linker::<Guest, Io>(l, |guest| guest.ctx().table)?;
    io::streams::add_to_linker::<Guest, Io>(l, |guest| guest.ctx().table)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    add_monotonic_clock_to_linker(l)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    filesystem::types::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    random::random::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.ctx().ctx.random())?;
    cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    Ok(Arc::new(linker))
}

/// A clock that only counts, and that nobody can wait for: a policy that waits would hold an upload without
/// using the time that is counted.
fn add_monotonic_clock_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.6")?;
    clock.func_wrap("now", |mut store, (): ()| {
        let guest: &mut Guest = store.data_mut();
        Ok((guest.next_moment(),))
    })?;
    clock.func_wrap("resolution", |_, (): ()| Ok((1u64,)))?;
    for function in ["subscribe-duration", "subscribe-instant"] {
        clock.func_wrap(
            function,
            |_, (_,): (u64,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
                Err(wasmtime::Error::msg("a policy may not wait"))
            },
        )?;
    }
    Ok(())
}
