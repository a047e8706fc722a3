//! Components: compiled, digested, and checked for what they import and export.

pub(crate) mod shape;

use std::path::Path;
use std::sync::Arc;

use portcullis_types::Sha256Digest;
use wasmtime::component::{Component, InstancePre, Linker, Resource, types::ComponentItem};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::{
    WasiView, cli::WasiCli, cli::WasiCliView, clocks::WasiClocks, clocks::WasiClocksView,
};
use wasmtime_wasi::{
    filesystem::WasiFilesystem, filesystem::WasiFilesystemView, random::WasiRandom,
};

use crate::PolicyKind;
use crate::contract::v0_1;
use crate::error::PolicyLoadError;
use crate::guest::Guest;

/// The largest component in bytes: a JavaScript engine has about 12 MiB, a Python one about 40.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 64 << 20;

/// The WASI interfaces that the runtimes of languages insist on. All are linked with nothing behind them:
/// no arguments, no variables, no files, closed standard streams, clocks that tell them nothing.
const WASI: [&str; 21] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:clocks/types",
];

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

/// The bytes of a component file, within the limit.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PolicyLoadError> {
    let size = std::fs::metadata(path)
        .map_err(PolicyLoadError::Unreadable)?
        .len();
    if size > MAX_COMPONENT_BYTES {
        return Err(PolicyLoadError::TooLarge(size));
    }
    std::fs::read(path).map_err(PolicyLoadError::Unreadable)
}

/// Compiles a component and checks it. This takes long: never on a thread that serves uploads.
pub(crate) fn compile(
    engine: &wasmtime::Engine,
    linker: &Linker<Guest>,
    bytes: &[u8],
) -> Result<CheckedComponent, PolicyLoadError> {
    let digest = Sha256Digest::of(bytes);
    let not_a_component = |error: wasmtime::Error| PolicyLoadError::NotAComponent {
        digest,
        cause: one_line(&error),
    };
    let component = Component::from_binary(engine, bytes).map_err(not_a_component)?;
    check_imports(engine, &component, digest)?;
    let kind = kind_of(engine, &component, digest)?;
    let link = |error: wasmtime::Error| PolicyLoadError::Link(one_line(&error));
    let instance_pre: InstancePre<Guest> = linker.instantiate_pre(&component).map_err(link)?;
    let exports = match kind {
        PolicyKind::Validation => {
            Exports::Validation(v0_1::ValidationPolicyPre::new(instance_pre).map_err(link)?)
        }
        PolicyKind::Routing => {
            Exports::Routing(v0_1::RoutingPolicyPre::new(instance_pre).map_err(link)?)
        }
    };
    Ok(CheckedComponent {
        digest,
        size_bytes: bytes.len() as u64,
        exports,
    })
}

/// The first import that is not on the list refuses the component, by name.
fn check_imports(
    engine: &wasmtime::Engine,
    component: &Component,
    digest: Sha256Digest,
) -> Result<(), PolicyLoadError> {
    for (name, item) in component.component_type().imports(engine) {
        let interface = name.split('@').next().unwrap_or(name);
        let wasi_0_2 = name
            .split_once('@')
            .is_some_and(|(_, version)| version.starts_with("0.2."));
        let allowed = v0_1::IMPORTS.contains(&name) || (wasi_0_2 && WASI.contains(&interface));
        let is_interface = matches!(item.ty, ComponentItem::ComponentInstance(_));
        if !allowed || !is_interface {
            let advice =
                if interface.starts_with("wasi:sockets") || interface.starts_with("wasi:http") {
                    "a policy has no network: remove the code that connects"
                } else if interface.starts_with("portcullis:policy/") {
                    "build it against contract version 0.1"
                } else {
                    "remove the code that needs it"
                };
            return Err(PolicyLoadError::ForbiddenImport {
                import: name.to_owned(),
                digest,
                advice,
            });
        }
    }
    Ok(())
}

fn kind_of(
    engine: &wasmtime::Engine,
    component: &Component,
    digest: Sha256Digest,
) -> Result<PolicyKind, PolicyLoadError> {
    let component = component.component_type();
    let exports: Vec<&str> = component.exports(engine).map(|(name, _)| name).collect();
    match (
        exports.contains(&v0_1::VALIDATION),
        exports.contains(&v0_1::ROUTING),
    ) {
        (true, false) => return Ok(PolicyKind::Validation),
        (false, true) => return Ok(PolicyKind::Routing),
        _ => {}
    }
    let other = exports.iter().find_map(|name| {
        let (interface, version) = name.split_once('@')?;
        interface
            .starts_with("portcullis:policy/")
            .then_some(version)
    });
    Err(match other {
        Some(version) if exports.len() == 1 => PolicyLoadError::Version {
            digest,
            version: version.to_owned(),
        },
        _ => PolicyLoadError::Contract(digest),
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
