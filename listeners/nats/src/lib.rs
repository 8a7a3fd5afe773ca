//! The NATS client listener.
