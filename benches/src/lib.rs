//! What the benchmarks share: pairs of peers, over memory and over loopback, and how figures are
//! summed up and printed. What is measured with it, and how to run it, is in
//! `docs/performance.md`.
//!
//! None of it is part of peerloom.

pub mod figures;
pub mod grid;
pub mod host;
pub mod loopback;
pub mod memory;

/// Anything that ends a measurement.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a measurement returns.
pub type Result<T> = std::result::Result<T, Error>;
