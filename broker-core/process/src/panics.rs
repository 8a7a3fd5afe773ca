//! Panics as log lines.

use std::panic::PanicHookInfo;

use dunlin_api::Logger;

/// Characters of a panic's text that are logged.
const MAX_TEXT: usize = 200;

/// Quoted text up to this length is taken for a name of the program (`Option::unwrap()`), longer one for data.
const MAX_NAME: usize = 24;

/// Turns every panic of the process from now on into one error line with thread, place and text, in place of the dump
/// on standard error. Strings, bytes and values that the text quotes are cut out: a stranger may have sent them.
pub fn log_panics(logger: Logger) {
    std::panic::set_hook(Box::new(move |panic| log(&logger, panic)));
}

fn log(logger: &Logger, panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let text = without_data(panic.payload_as_str().unwrap_or("no text"));
    match panic.location() {
        Some(place) => logger.error(format_args!("panic at {place}, thread {thread}: {text}")),
        None => logger.error(format_args!("panic, thread {thread}: {text}")),
    }
}

/// The first line of a panic's text without what it may quote: strings, lists of bytes, and long text in backticks
/// become `..`. `assert_eq!` shows its values on lines of their own, which are left out.
fn without_data(text: &str) -> String {
    let mut rest = text.lines().next().unwrap_or_default();
    let mut kept = String::new();
    while let Some(at) = rest.find(['"', '[', '`']) {
        let (before, quoted) = rest.split_at(at);
        kept.push_str(before);
        let end = match quoted.as_bytes().first() {
            Some(b'"') => end_of_string(quoted),
            Some(b'[') => quoted.find(']'),
            _ => quoted.match_indices('`').nth(1).map(|(at, _)| at),
        };
        let end = end.map_or(quoted.len(), |end| end + 1);
        let (quote, after) = quoted.split_at_checked(end).unwrap_or((quoted, ""));
        let is_name = quote.starts_with('`') && quote.ends_with('`') && quote.len() <= MAX_NAME + 2;
        kept.push_str(if is_name { quote } else { ".." });
        rest = after;
    }
    kept.push_str(rest);
    kept.chars().take(MAX_TEXT).collect()
}

/// Where the closing quote of a string in Rust's `Debug` form is.
fn end_of_string(quoted: &str) -> Option<usize> {
    let mut is_escaped = false;
    quoted.bytes().enumerate().skip(1).find_map(|(at, byte)| {
        let closes = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        closes.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::memory_sink;

    #[test]
    fn a_panic_becomes_one_line_with_its_place() {
        let sink = memory_sink();
        log_panics(Logger::new(sink.clone()));
        let result = std::panic::catch_unwind(|| panic!("marker of this test\nsecond line"));
        // Other tests of this binary want their dump back.
        let _ = std::panic::take_hook();
        assert!(result.is_err());
        let lines = sink.lines();
        let line = lines
            .iter()
            .find(|line| line.contains("marker of this test"))
            .unwrap();
        assert!(
            line.starts_with(&format!("[ERR] panic at {}:", file!())),
            "{line}"
        );
        assert!(line.ends_with(": marker of this test"), "{line}");
    }

    #[test]
    fn what_a_panic_quotes_is_cut_out() {
        for (text, shown) in [
            (
                "index out of bounds: the len is 3 but the index is 7",
                "index out of bounds: the len is 3 but the index is 7",
            ),
            (
                "called `Option::unwrap()` on a `None` value",
                "called `Option::unwrap()` on a `None` value",
            ),
            (r#"bad: "pass\"word\\" in x"#, "bad: .. in x"),
            ("bad: [104, 117, 110] in x", "bad: .. in x"),
            (
                "it is inside 'é' of `PUB secret.subject 5 hunter2`",
                "it is inside 'é' of ..",
            ),
            (
                "assertion `left == right` failed\n  left: 1",
                "assertion `left == right` failed",
            ),
            ("cut \"off", "cut .."),
            ("cut `off", "cut .."),
            ("", ""),
        ] {
            assert_eq!(without_data(text), shown, "{text}");
        }
        assert_eq!(without_data(&"é".repeat(1000)).chars().count(), MAX_TEXT);
    }
}
