//! What a component may import, and what to use instead of what it may not.

use crate::contract::v0_1;
use crate::error::ForbiddenImport;

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

const NO_NETWORK: &str = "a policy has no network: ship what it needs as a file of the policy set and read it with `resources.get`";

/// Beginnings of names, and what to do instead.
const INSTEAD: [(&str, &str); 11] = [
    (
        "portcullis:policy/",
        "build it against contract version 0.1",
    ),
    ("wasi:sockets/", NO_NETWORK),
    ("wasi:http/", NO_NETWORK),
    ("wasi:tls/", NO_NETWORK),
    (
        "wasi:clocks/",
        "the time of an upload is `received-at-ms`, in UTC",
    ),
    (
        "wasi:logging/",
        "write lines for the operator with `log.write` of the contract",
    ),
    ("wasi:config/", "take settings in `configure`"),
    (
        "wasi:keyvalue/",
        "keep state in the instance, which judges one upload, or ship data as `resources`",
    ),
    (
        "wasi:blobstore/",
        "read files of the policy set with `resources.get`",
    ),
    (
        "wasi:",
        "only what the standard libraries of WASI 0.2 need is there: build for wasm32-wasip2, without what asks for more",
    ),
    (
        "env",
        "a policy has no host functions of its own: build for wasm32-wasip2, without Emscripten or wasm-bindgen",
    ),
];

/// The import with what to use instead, if policies may not have it.
pub(crate) fn forbidden(name: &str, is_no_interface: bool) -> Option<ForbiddenImport> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let is_wasi = version.starts_with("0.2.") && WASI.contains(&interface);
    if !is_no_interface && (v0_1::IMPORTS.contains(&name) || is_wasi) {
        return None;
    }
    let advice = INSTEAD.iter().find(|(start, _)| name.starts_with(start));
    let other =
        "a policy may use what its world imports, and nothing else; remove the code that needs it";
    Some(ForbiddenImport {
        name: name.to_owned(),
        advice: advice.map_or(other, |(_, advice)| advice),
    })
}
