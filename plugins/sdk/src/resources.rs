//! Files of the policy set, such as data definitions.

/// The content of a resource that the policy's `RESOURCES` cover; absent when there is no such file.
/// Natively, in tests, it is what [`testing::provide`](crate::testing::provide) gave.
pub fn get(name: &str) -> Option<Vec<u8>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::validation::portcullis::policy::resources::get(name);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::provided(name)
}
