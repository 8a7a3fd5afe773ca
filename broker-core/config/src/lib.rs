//! The typed configuration and its two front ends.
