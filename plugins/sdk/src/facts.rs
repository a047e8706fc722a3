//! What a validation policy learns for the routing policy.

/// Sets a fact. The first one of a name stands; natively, in tests, it goes nowhere.
pub fn set(name: &str, value: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::validation::portcullis::policy::facts::set(name, value);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (name, value);
}
