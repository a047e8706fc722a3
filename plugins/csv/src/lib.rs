//! Splits CSV and TSV (RFC 4180) into cells while the bytes come, in constant memory and with the same
//! result however they are cut. It finds the structure 64 bytes at a time and allocates nothing per cell.
//!
//! It never refuses: bytes that break RFC 4180 are split as the `csv` crate splits them, and each cell
//! says what is wrong with it.
#![forbid(unsafe_code)]

mod block;
mod cell;
mod parser;
mod scan;

pub use cell::{Cell, Quotes, Separator};
pub use parser::{MAX_CELL_BYTES, Parser, Row, Sink};
