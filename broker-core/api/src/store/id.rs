//! Names that a store can keep.

use std::fmt;

use dunlin_subject::AccountName;

use super::StoreError;

/// Which stream: its account and its name, both safe to become a directory's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    account: AccountName,
    stream: Box<str>,
}

/// A name is too long to be a file's name on common systems.
const LONGEST_NAME: usize = 255;

impl StreamId {
    /// A stream of an account. The name is refused where it is empty, longer than 255 bytes or holds white space,
    /// control characters or one of `. * > / \`: stores make it part of a path. The account's name may hold all
    /// of these but `/` and `\`, and is neither `.` nor `..`.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`].
    pub fn new(account: AccountName, stream: &str) -> Result<Self, StoreError> {
        for (name, allowed) in [
            (stream, is_store_name(stream)),
            (account.as_str(), is_directory_name(account.as_str())),
        ] {
            if !allowed {
                return Err(StoreError::InvalidName(name.to_owned()));
            }
        }
        Ok(Self {
            account,
            stream: stream.into(),
        })
    }

    /// The account.
    pub fn account(&self) -> &AccountName {
        &self.account
    }

    /// The stream's name within its account.
    pub fn stream(&self) -> &str {
        &self.stream
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.account, self.stream)
    }
}

fn is_directory_name(account: &str) -> bool {
    account.len() <= LONGEST_NAME && !account.contains(['/', '\\']) && !matches!(account, "." | "..")
}

/// Whether a stream or consumer may have this name; the rule is at [`StreamId::new`].
pub fn is_store_name(name: &str) -> bool {
    let allowed =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '.' | '*' | '>' | '/' | '\\');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_cannot_leave_its_directory() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "a b",
            "a*",
            ">",
            "a\0",
            &"x".repeat(256),
        ] {
            let refused = StreamId::new(AccountName::global(), name);
            assert_eq!(refused, Err(StoreError::InvalidName(name.to_owned())));
        }
        assert!(StreamId::new(AccountName::global(), "ORDERS_1-ü").is_ok());
        for account in ["..", "a/../b", "a\\b"] {
            let refused = StreamId::new(AccountName::new(account).unwrap(), "S");
            assert_eq!(refused, Err(StoreError::InvalidName(account.to_owned())));
        }
    }
}
