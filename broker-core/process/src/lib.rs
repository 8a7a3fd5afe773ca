//! Logging, command line, signals and process files.
