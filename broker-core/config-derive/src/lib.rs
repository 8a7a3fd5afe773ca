//! The derive macro behind ConfigSection.
