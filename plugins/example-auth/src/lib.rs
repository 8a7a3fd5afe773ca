//! A complete auth provider that a reader can copy.
