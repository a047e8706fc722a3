//! What a policy counts, for the operator's dashboards (`portcullis.policy.counted`).

/// Adds to a counter that the policy describes (`COUNTERS`); others are ignored. Of one upload nothing is counted more often than it
/// has bytes, and once for each call: count things in the data, and never what they say. Natively, in tests, it goes nowhere.
pub fn count(counter: &str, n: u64) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::validation::portcullis::policy::meter::count(counter, n);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (counter, n);
}
