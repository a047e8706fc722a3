//! The bindings that `wit-bindgen` generates from the contract, one module for each kind of policy. Which of
//! them a component exports is decided where the macro stands.

/// What a validation policy exports, the types, and what the host offers to it.
#[expect(
    missing_docs,
    clippy::pedantic,
    reason = "generated; what the contract documents is documented"
)]
pub mod validation {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "validation-policy",
        additional_derives: [PartialEq, Eq],
        generate_unused_types: true,
        pub_export_macro: true,
        export_macro_name: "export",
    });
}

/// What a routing policy exports; types and host are those of `validation`.
#[expect(
    missing_docs,
    clippy::pedantic,
    reason = "generated; what the contract documents is documented"
)]
pub mod routing {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "routing-policy",
        with: {
            "portcullis:policy/types@0.1.0": crate::bindings::validation::portcullis::policy::types,
            "portcullis:policy/log@0.1.0": crate::bindings::validation::portcullis::policy::log,
            "portcullis:policy/resources@0.1.0": crate::bindings::validation::portcullis::policy::resources,
            "portcullis:policy/meter@0.1.0": crate::bindings::validation::portcullis::policy::meter,
        },
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export",
    });
}
