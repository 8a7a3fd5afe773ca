//! The system's errors in the reference's words.

use std::io;

/// What went wrong: `address already in use`, where Rust says `Address already in use (os error 98)`.
pub(crate) fn text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .split_once(" (os error ")
        .map_or(text.as_str(), |(text, _)| text);
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_the_reference_prints_it() {
        assert_eq!(text(&io::Error::from_raw_os_error(24)), "too many open files");
        assert_eq!(text(&io::Error::other("listen tcp: torn")), "listen tcp: torn");
    }
}
