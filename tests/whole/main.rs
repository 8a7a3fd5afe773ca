//! Whole brokers under test, in one binary: linking is what a test binary costs.

mod differential;
mod host;
mod interop;
mod load;
