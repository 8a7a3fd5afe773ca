//! The system's errors in the reference's words.

use std::io;
use std::path::Path;

/// What went wrong, as Go prints it: `address already in use`, where Rust says `Address already in use (os error 98)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" (os error ")
        .map_or(text.as_str(), |(text, _)| text);
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// What failed on which file: `open x: no such file or directory`.
pub fn failed(action: &str, path: &Path, error: &io::Error) -> String {
    format!("{action} {}: {}", path.display(), reason(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_the_reference_prints_it() {
        assert_eq!(reason(&io::Error::from_raw_os_error(24)), "too many open files");
        assert_eq!(reason(&io::Error::other("listen tcp: torn")), "listen tcp: torn");
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(
            failed("open", Path::new("x"), &error),
            "open x: no such file or directory"
        );
    }
}
