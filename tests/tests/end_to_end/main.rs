//! The pair as its users see it. One binary, so that it is linked once.

mod dependency_rule;
mod hop;
mod uploads;
