//! Transports and accept loops.

pub mod output;
