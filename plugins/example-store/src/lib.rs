//! A complete store that a reader can copy.
