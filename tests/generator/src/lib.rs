//! Makes realistic tables in CSV or TSV of any size from a data definition: valid, or with errors planted at
//! known places. The same seed gives the same bytes.
//!
//! It reads definitions by itself, and not with the policy that checks them: two readings of one definition
//! that disagree are found.
#![forbid(unsafe_code)]

mod csv;
mod definition;
mod dice;
mod fault;
mod values;

pub use csv::{Blocks, Csv, LineEnd};
pub use definition::{Column, Condition, Definition, Kind, Rule};
pub use dice::Dice;
pub use fault::{Expected, Fault, Planted};
