//! What the macros expand to: the glue between the contract's free functions and a value of the author's.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::description::Said;
use crate::{
    Admission, Conclusion, Description, Destination, End, Failure, Placement, Progress, Router,
    Upload, Validator, settings,
};

/// Holds the one policy of an instance from `configure` on. The host calls an instance from one thread at
/// a time and never from within a call, so a borrow cannot fail.
#[derive(Debug)]
pub struct Slot<P>(RefCell<Option<P>>);

impl<P> Slot<P> {
    /// Without a policy yet.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    fn with<T>(&self, call: impl FnOnce(&mut P) -> T) -> T {
        let mut policy = self.0.borrow_mut();
        call(
            policy
                .as_mut()
                .expect("the host calls `configure` before anything else"),
        )
    }

    fn fill<S: DeserializeOwned>(
        &self,
        json: &str,
        new: impl FnOnce(S) -> Result<P, String>,
    ) -> Result<(), Failure> {
        let policy = settings::parse(json).and_then(new);
        *self.0.borrow_mut() = Some(policy.map_err(Failure::BadSettings)?);
        Ok(())
    }
}

/// The contract's functions for a validation policy.
impl<P: Validator> Slot<P> {
    pub fn configure_validator(&self, settings: &str) -> Result<(), Failure> {
        self.fill(settings, P::new)
    }

    pub fn admit(&self, upload: &Upload) -> Result<Admission, Failure> {
        self.with(|policy| policy.admit(upload))
    }

    pub fn chunk(&self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        self.with(|policy| policy.chunk(offset, bytes))
    }

    pub fn finish(&self, end: &End) -> Result<Conclusion, Failure> {
        self.with(|policy| policy.finish(end))
    }

    pub fn suspend(&self) -> Result<Option<Vec<u8>>, Failure> {
        self.with(Validator::suspend)
    }

    pub fn resume(&self, upload: &Upload, state: &[u8]) -> Result<(), Failure> {
        self.with(|policy| policy.resume(upload, state))
    }
}

/// The contract's functions for a routing policy.
impl<P: Router> Slot<P> {
    pub fn configure_router(&self, settings: &str) -> Result<(), Failure> {
        self.fill(settings, P::new)
    }

    pub fn place(&self, upload: &Upload) -> Result<Placement, Failure> {
        self.with(|policy| policy.place(upload))
    }

    pub fn route(
        &self,
        upload: &Upload,
        end: &End,
        facts: &[(String, String)],
    ) -> Result<Destination, Failure> {
        self.with(|policy| policy.route(upload, end, facts))
    }
}

pub fn describe_validator<P: Validator>(version: &'static str) -> Description {
    let said = Said {
        name: P::NAME,
        version,
        summary: P::SUMMARY,
        settings: P::SETTINGS,
        rules: P::RULES,
        attributes: P::ATTRIBUTES,
        resources: P::RESOURCES,
        counters: P::COUNTERS,
    };
    said.into_description()
}

pub fn describe_router<P: Router>(version: &'static str) -> Description {
    let said = Said {
        name: P::NAME,
        version,
        summary: P::SUMMARY,
        settings: P::SETTINGS,
        rules: P::RULES,
        attributes: P::ATTRIBUTES,
        resources: P::RESOURCES,
        counters: P::COUNTERS,
    };
    said.into_description()
}

/// Exports a [`Validator`](crate::Validator) as the component's policy; once in a crate, at its top level.
///
/// Native builds export nothing, so that several policies can be linked into one test.
#[macro_export]
macro_rules! validator {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::validation;
            use $crate::{Admission, Conclusion, Description, End, Failure, Progress, Upload};

            struct Exported;

            ::std::thread_local! {
                static POLICY: $crate::export::Slot<$policy> = const { $crate::export::Slot::empty() };
            }

            impl validation::exports::portcullis::policy::validation::Guest for Exported {
                fn describe() -> Description {
                    $crate::export::describe_validator::<$policy>(::core::env!("CARGO_PKG_VERSION"))
                }

                fn configure(settings: ::std::string::String) -> ::core::result::Result<(), Failure> {
                    POLICY.with(|policy| policy.configure_validator(&settings))
                }

                fn admit(upload: Upload) -> ::core::result::Result<Admission, Failure> {
                    POLICY.with(|policy| policy.admit(&upload))
                }

                fn chunk(
                    offset: u64,
                    bytes: ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<Progress, Failure> {
                    POLICY.with(|policy| policy.chunk(offset, &bytes))
                }

                fn finish(end: End) -> ::core::result::Result<Conclusion, Failure> {
                    POLICY.with(|policy| policy.finish(&end))
                }

                fn suspend()
                -> ::core::result::Result<::core::option::Option<::std::vec::Vec<u8>>, Failure> {
                    POLICY.with(|policy| policy.suspend())
                }

                fn resume(
                    upload: Upload,
                    state: ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<(), Failure> {
                    POLICY.with(|policy| policy.resume(&upload, &state))
                }
            }

            validation::export!(Exported with_types_in validation);
        };

        // Natively nothing is exported, and the policy is used all the same.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&str) -> ::core::result::Result<$policy, ::std::string::String> =
            $crate::testing::configure::<$policy>;
    };
}

/// Exports a [`Router`](crate::Router) as the component's policy; once in a crate, at its top level.
///
/// Native builds export nothing, so that several policies can be linked into one test.
#[macro_export]
macro_rules! router {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::routing;
            use $crate::{Description, Destination, End, Failure, Placement, Upload};

            struct Exported;

            ::std::thread_local! {
                static POLICY: $crate::export::Slot<$policy> = const { $crate::export::Slot::empty() };
            }

            impl routing::exports::portcullis::policy::routing::Guest for Exported {
                fn describe() -> Description {
                    $crate::export::describe_router::<$policy>(::core::env!("CARGO_PKG_VERSION"))
                }

                fn configure(settings: ::std::string::String) -> ::core::result::Result<(), Failure> {
                    POLICY.with(|policy| policy.configure_router(&settings))
                }

                fn place(upload: Upload) -> ::core::result::Result<Placement, Failure> {
                    POLICY.with(|policy| policy.place(&upload))
                }

                fn route(
                    upload: Upload,
                    end: End,
                    facts: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
                ) -> ::core::result::Result<Destination, Failure> {
                    POLICY.with(|policy| policy.route(&upload, &end, &facts))
                }
            }

            routing::export!(Exported with_types_in routing);
        };

        // Natively nothing is exported, and the policy is used all the same.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&str) -> ::core::result::Result<$policy, ::std::string::String> =
            $crate::testing::configure_router::<$policy>;
    };
}
