//! A complete listener that a reader can copy.
