//! What no policy should do. Nothing here is run in native tests.

use std::hint::black_box;

use portcullis_policy::{Finding, Refusal, findings, log};

/// How long the lines of a flood are, in bytes.
const FLOOD_LINE_BYTES: usize = 4096;

/// Runs into an unreachable instruction.
pub(crate) fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

/// Never returns and never calls the host.
pub(crate) fn run_for_ever() -> ! {
    let mut round = 0_u64;
    loop {
        round = black_box(round).wrapping_add(1);
    }
}

/// Returns after this many million rounds.
pub(crate) fn work(million_rounds: u64) {
    let mut round = 0;
    while round < million_rounds.saturating_mul(1_000_000) {
        round = black_box(round) + 1;
    }
}

/// Takes memory until there is none, and then asks for more.
pub(crate) fn take_all_memory() -> ! {
    const STEP_BYTES: usize = 1 << 20;
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; STEP_BYTES]));
    }
}

/// Calls itself so often that the stack ends. What comes after the call cannot be put before it, so that no
/// compiler makes a loop of it.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that it never ends is the point")]
pub(crate) fn dive(depth: u64) -> u64 {
    dive(depth.wrapping_add(1))
        .rotate_left(3)
        .wrapping_mul(depth | 1)
}

/// A sentence of this many bytes.
pub(crate) fn long_sentence(bytes: u64) -> String {
    "x".repeat(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// A refusal whose sentence has this many bytes; the SDK would cut it.
pub(crate) fn long_refusal(bytes: u64) -> Refusal {
    Refusal {
        rule: "reject".to_owned(),
        message: long_sentence(bytes),
    }
}

/// Reports this many findings, whatever the host says to them.
pub(crate) fn report_many(count: u64) {
    for row in 1..=count {
        findings::report(Finding::error("many", "One of very many.").at_row(row));
    }
}

/// Fills the log.
pub(crate) fn flood_log(lines: u64) {
    let line = "x".repeat(FLOOD_LINE_BYTES);
    (0..lines).for_each(|_| log::error(&line));
}

/// Fills standard error.
#[expect(
    clippy::print_stderr,
    reason = "the engine must bound what comes this way"
)]
pub(crate) fn flood_stderr(lines: u64) {
    let line = "x".repeat(FLOOD_LINE_BYTES);
    (0..lines).for_each(|_| eprintln!("{line}"));
}
