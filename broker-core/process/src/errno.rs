//! System errors in Go's words, as the reference prints them.

use std::io;
use std::path::Path;

/// What went wrong: `no such file or directory`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match text.rfind(" (os error ") {
        Some(at) => text.get(..at).unwrap_or(&text),
        None => &text,
    };
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

/// What failed on which file: `open x: no such file or directory`.
pub(crate) fn failed(action: &str, path: &Path, error: &io::Error) -> String {
    format!("{action} {}: {}", path.display(), reason(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_go_prints_them() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(
            failed("open", Path::new("x"), &error),
            "open x: no such file or directory"
        );
        assert_eq!(reason(&io::Error::other("torn")), "torn");
    }
}
