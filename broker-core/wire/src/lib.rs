//! NATS protocol codecs, sans-I/O.
