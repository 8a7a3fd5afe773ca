//! A load generator that costs less than any client library.
