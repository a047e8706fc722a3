//! What the policy notices about the data. What was reported stays, whatever becomes of the policy.

use crate::Finding;

/// Reports a finding, at once. False when the host keeps no more of this rule: it was counted, and further
/// ones need only be [tallied](tally).
#[expect(
    clippy::must_use_candidate,
    reason = "most policies report a few findings and need not know"
)]
pub fn report(finding: Finding) -> bool {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::validation::portcullis::policy::findings::report(&finding);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record(finding)
}

/// Counts more breaches of a rule than were reported, so that the totals are true.
pub fn tally(rule: &str, column: Option<&str>, n: u64) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::validation::portcullis::policy::findings::tally(rule, column, n);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record_tally(rule, column, n);
}
