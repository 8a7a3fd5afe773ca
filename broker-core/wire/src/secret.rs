//! Text that must not leave by accident.

use std::fmt;

/// A credential. It has no `Display` and no `Serialize`, and `Debug` hides it; only
/// [`expose`](Secret::expose) gives the text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself: for a comparison or a signature check, never for a log or a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether no credential was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { "[REDACTED]" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_secret_hides_it() {
        assert_eq!(format!("{:?}", Secret::new("s3cr3t")), "[REDACTED]");
        assert_eq!(Secret::new("s3cr3t").expose(), "s3cr3t");
    }
}
