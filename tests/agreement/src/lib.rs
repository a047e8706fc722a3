//! Policies beside other implementations of the same standard: see `tests/`. There is nothing here.
#![forbid(unsafe_code)]
