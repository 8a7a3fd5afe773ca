//! Users, passwords, tokens and permissions from the configuration.
