//! Whole-broker tests and their fixtures.
