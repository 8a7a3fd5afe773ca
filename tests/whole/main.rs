//! Whole brokers under test, in one binary: linking is what a test binary costs.

mod allocation;
mod differential;
mod host;
mod interop;
mod isolation;
mod load;
mod sim;
mod simulation;
