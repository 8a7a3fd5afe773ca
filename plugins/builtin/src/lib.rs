//! The one list of the plugins in this binary.
