//! Accounts, interest and delivery: the hot path.
