//! Transports and accept loops.
