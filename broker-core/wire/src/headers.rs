//! Message headers: making a block, and the edits that a server does (CORE-145).
//!
//! A block is `NATS/1.0`, an optional status, one `Name: value` a line, and a blank line. The edits are pure:
//! they return a new block or the old one, and never write into bytes that other receivers share. A block comes
//! from a stranger and may be anything; what is no header line is left as it is. Names are case-sensitive.

use std::borrow::Cow;

const VERSION: &[u8] = b"NATS/1.0";
const CRLF: &[u8] = b"\r\n";
/// Length of a block that says nothing.
const EMPTY: usize = VERSION.len() + 2 * CRLF.len();

/// Why a header cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A name is one or more printable ASCII bytes other than space and colon.
    #[error("invalid header name")]
    Name,
    /// A value is text without line ends.
    #[error("invalid header value")]
    Value,
}

/// A header block under construction. Refuses what would break out of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderBlock(Vec<u8>);

impl HeaderBlock {
    /// A block without headers yet.
    pub fn new() -> Self {
        Self([VERSION, CRLF].concat())
    }

    /// A block with a status and its description, which may be empty: `NATS/1.0 404 No Messages`.
    ///
    /// # Errors
    /// A description with a line end.
    pub fn with_status(status: u16, description: &str) -> Result<Self, HeaderError> {
        check_value(description.as_bytes())?;
        let blank = if description.is_empty() { "" } else { " " };
        Ok(Self(
            format!("NATS/1.0 {status}{blank}{description}\r\n").into_bytes(),
        ))
    }

    /// Appends a header. The same name may occur several times.
    ///
    /// # Errors
    /// See [`HeaderError`]; the block is unchanged then.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<&mut Self, HeaderError> {
        let line = line(name, value.as_ref())?;
        self.0.extend_from_slice(&line);
        Ok(self)
    }

    /// The whole block, with its blank line.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(CRLF);
        self.0
    }
}

impl Default for HeaderBlock {
    fn default() -> Self {
        Self::new()
    }
}

/// Value of the first header called `name`: the text behind the colon and any blanks, up to the line's end.
pub fn get<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let found = lines(block).find(|line| line.is_called(name))?;
    let value = found.text.get(name.len() + 1..).unwrap_or_default();
    let blanks = value.iter().take_while(|b| **b == b' ').count();
    value.get(blanks..)
}

/// The block without the headers called `name`; `None` if nothing is left then.
pub fn remove<'a>(block: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    remove_if(block, |line| line.is_called(name))
}

/// The block without the headers whose names begin with `prefix`; `None` if nothing is left then.
pub fn remove_prefixed<'a>(block: &'a [u8], prefix: &str) -> Option<Cow<'a, [u8]>> {
    remove_if(block, |line| {
        line.text.starts_with(prefix.as_bytes()) && line.text.contains(&b':')
    })
}

/// The block with the first header called `name` at its place with another `value`; with a new one at the end
/// if there is none. An empty `block` gives a new one.
///
/// # Errors
/// See [`HeaderError`].
pub fn set(block: &[u8], name: &str, value: impl AsRef<[u8]>) -> Result<Vec<u8>, HeaderError> {
    let value = value.as_ref();
    let Some(old) = lines(block).find(|line| line.is_called(name)) else {
        return append(block, name, value);
    };
    check_name(name)?;
    check_value(value)?;
    // The old line's single blank, or its absence, stays.
    let blank = usize::from(old.text.get(name.len() + 1) == Some(&b' '));
    let before = block.get(..old.at + name.len() + 1 + blank).unwrap_or_default();
    let behind = block.get(old.at + old.text.len()..).unwrap_or_default();
    Ok([before, value, behind].concat())
}

/// The block with all headers called `name` gone, and one with `value` at the end.
///
/// # Errors
/// See [`HeaderError`].
pub fn replace(block: &[u8], name: &str, value: impl AsRef<[u8]>) -> Result<Vec<u8>, HeaderError> {
    append(&remove(block, name).unwrap_or_default(), name, value)
}

/// The block with one more header at the end. An empty `block` gives a new one.
///
/// # Errors
/// See [`HeaderError`].
pub fn append(block: &[u8], name: &str, value: impl AsRef<[u8]>) -> Result<Vec<u8>, HeaderError> {
    let line = line(name, value.as_ref())?;
    let (head, gap): (&[u8], &[u8]) = match block.strip_suffix(CRLF) {
        _ if block.is_empty() => (VERSION, CRLF),
        Some(head) if head.ends_with(CRLF) => (head, b""),
        // No blank line at the end: whatever it is, the new header gets a line of its own.
        Some(_) => (block, b""),
        None => (block, CRLF),
    };
    Ok([head, gap, &*line, CRLF].concat())
}

/// A line of a block behind the first: its text without the line end, and where that begins.
struct Line<'a> {
    at: usize,
    text: &'a [u8],
    whole: bool,
}

impl Line<'_> {
    fn is_called(&self, name: &str) -> bool {
        self.text
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b':'))
    }
}

/// The lines behind the version line. Only `\r\n` ends a line; the last one may lack it.
fn lines(block: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut next = end_of_line(block, 0).map(|end| end + CRLF.len());
    std::iter::from_fn(move || {
        let at = next.filter(|at| *at < block.len())?;
        let end = end_of_line(block, at);
        next = end.map(|end| end + CRLF.len());
        let text = block.get(at..end.unwrap_or(block.len()))?;
        Some(Line {
            at,
            text,
            whole: end.is_some(),
        })
    })
}

fn end_of_line(block: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(block.get(from..)?, CRLF).map(|at| from + at)
}

fn remove_if<'a>(block: &'a [u8], gone: impl Fn(&Line<'_>) -> bool) -> Option<Cow<'a, [u8]>> {
    let mut kept: Option<Vec<u8>> = None;
    let mut copied = 0;
    for line in lines(block).filter(|line| line.whole && gone(line)) {
        let kept = kept.get_or_insert_with(|| Vec::with_capacity(block.len()));
        kept.extend_from_slice(block.get(copied..line.at).unwrap_or_default());
        copied = line.at + line.text.len() + CRLF.len();
    }
    let Some(mut kept) = kept else {
        return Some(Cow::Borrowed(block));
    };
    kept.extend_from_slice(block.get(copied..).unwrap_or_default());
    (kept.len() > EMPTY).then_some(Cow::Owned(kept))
}

fn line(name: &str, value: &[u8]) -> Result<Vec<u8>, HeaderError> {
    check_name(name)?;
    check_value(value)?;
    Ok([name.as_bytes(), b": ", value, CRLF].concat())
}

fn check_name(name: &str) -> Result<(), HeaderError> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if fits { Ok(()) } else { Err(HeaderError::Name) }
}

fn check_value(value: &[u8]) -> Result<(), HeaderError> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        Ok(())
    } else {
        Err(HeaderError::Value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(headers: &[(&str, &str)]) -> Vec<u8> {
        let mut block = HeaderBlock::new();
        for (name, value) in headers {
            block.push(name, value).expect("fits");
        }
        block.finish()
    }

    #[track_caller]
    fn check(edited: Option<Cow<'_, [u8]>>, headers: &[(&str, &str)]) {
        assert_eq!(edited.as_deref(), Some(&*block(headers)));
    }

    // CORE-145 [TestRemoveHeaderIfPrefixPresent]
    #[test]
    fn all_headers_of_a_prefix_are_removed() {
        let all = block(&[
            ("a", "1"),
            ("Nats-Expected-Stream", "my-stream"),
            ("Nats-Expected-Last-Sequence", "22"),
            ("b", "2"),
            ("Nats-Expected-Last-Subject-Sequence", "24"),
            ("Nats-Expected-Last-Msg-Id", "1"),
            ("c", "3"),
        ]);
        check(
            remove_prefixed(&all, "Nats-Expected-"),
            &[("a", "1"), ("b", "2"), ("c", "3")],
        );
    }

    // CORE-145 [TestRemoveHeaderIfPrefixPresentSkipsValueMatches]
    #[test]
    fn prefix_inside_a_value_does_not_count() {
        let note = ("X-Note", "see Nats-Expected-Stream: below");
        let all = block(&[
            note,
            ("Nats-Expected-Stream", "s"),
            ("Nats-Expected-Last-Sequence", "22"),
            ("c", "3"),
        ]);
        check(remove_prefixed(&all, "Nats-Expected-"), &[note, ("c", "3")]);
    }

    // CORE-145 [TestRemoveHeaderIfPresentSkipsValueMatches]
    #[test]
    fn name_inside_a_value_does_not_count() {
        let note = ("X-Note", "Nats-Msg-Id: is set below");
        let all = block(&[note, ("Nats-Msg-Id", "real-id"), ("c", "3")]);
        check(remove(&all, "Nats-Msg-Id"), &[note, ("c", "3")]);
        assert_eq!(get(&all, "Nats-Msg-Id"), Some(&b"real-id"[..]));
    }

    // CORE-145 [TestRemoveHeaderIfPresentDuplicates]
    #[test]
    fn remove_takes_duplicates_too() {
        let all = block(&[("a", "1"), ("a", "2"), ("c", "3"), ("a", "4"), ("a", "5")]);
        check(remove(&all, "a"), &[("c", "3")]);
    }

    // CORE-145
    #[test]
    fn emptied_block_becomes_none() {
        assert_eq!(remove(&block(&[("a", "1")]), "a"), None);
        assert_eq!(
            remove(b"NATS/1.0 503\r\na: 1\r\n\r\n", "a").as_deref(),
            Some(&b"NATS/1.0 503\r\n\r\n"[..])
        );
        check(remove(&block(&[]), "a"), &[]);
    }

    // CORE-145 [TestSliceHeader, TestSliceHeaderOrderingPrefix, TestSliceHeaderOrderingSuffix]
    #[test]
    fn get_finds_the_whole_name_at_a_line_start() {
        let all = block(&[
            ("Nats-Expected-Last-Subject-Sequence-Subject", "foo"),
            ("Nats-Expected-Last-Subject-Sequence", "24"),
            ("Previous-Nats-Msg-Id", "user"),
            ("Nats-Msg-Id", "control"),
        ]);
        assert_eq!(get(&all, "Nats-Expected-Last-Subject-Sequence"), Some(&b"24"[..]));
        assert_eq!(get(&all, "Nats-Msg-Id"), Some(&b"control"[..]));
        assert_eq!(get(&all, "nats-msg-id"), None);
        assert_eq!(get(b"NATS/1.0\r\na:   x y \r\n\r\n", "a"), Some(&b"x y "[..]));
        assert_eq!(get(b"NATS/1.0\r\na:", "a"), Some(&b""[..]));
    }

    // CORE-145 [TestRemoveHeaderIfPresentOrderingPrefix, TestRemoveHeaderIfPresentOrderingSuffix]
    #[test]
    fn remove_leaves_longer_names_alone() {
        let prefix = ("Nats-Expected-Last-Subject-Sequence-Subject", "foo");
        let all = block(&[prefix, ("Nats-Expected-Last-Subject-Sequence", "24")]);
        check(remove(&all, "Nats-Expected-Last-Subject-Sequence"), &[prefix]);
        let suffix = ("Previous-Nats-Msg-Id", "user");
        check(
            remove(&block(&[suffix, ("Nats-Msg-Id", "control")]), "Nats-Msg-Id"),
            &[suffix],
        );
    }

    // CORE-145 [TestSetHeaderDoesNotOverwriteUnderlyingBuffer]
    #[test]
    fn set_keeps_the_place_and_the_old_block() {
        let old = block(&[("Key1", "Val1"), ("Key2", "Val2")]);
        let set = |name, value| set(&old, name, value).expect("fits");
        assert_eq!(
            set("Key1", "Val1Updated"),
            block(&[("Key1", "Val1Updated"), ("Key2", "Val2")])
        );
        assert_eq!(set("Key1", "v1"), block(&[("Key1", "v1"), ("Key2", "Val2")]));
        assert_eq!(
            set("Key3", "Val3"),
            block(&[("Key1", "Val1"), ("Key2", "Val2"), ("Key3", "Val3")])
        );
    }

    // CORE-145 [TestSetHeaderOrderingPrefix, TestSetHeaderOrderingSuffix]
    #[test]
    fn set_leaves_longer_names_and_blanks_alone() {
        for old in [
            "Long-Name: foo\r\nName: 24",
            "Name-Long: foo\r\nName: 24",
            "Name-Long:foo\r\nName:24",
        ] {
            let new = old.replace("24", "12");
            let set = set(format!("NATS/1.0\r\n{old}\r\n\r\n").as_bytes(), "Name", "12");
            assert_eq!(set, Ok(format!("NATS/1.0\r\n{new}\r\n\r\n").into_bytes()));
        }
    }

    // CORE-145 [TestClientSetHeaderDoesNotMutateInputMsg]
    #[test]
    fn replace_moves_the_header_to_the_end() {
        let old = block(&[("ClientInfo", "{old}"), ("Key2", "Val2")]);
        assert_eq!(
            replace(&old, "ClientInfo", "{newvalue}"),
            Ok(block(&[("Key2", "Val2"), ("ClientInfo", "{newvalue}")]))
        );
        assert_eq!(replace(b"", "a", "1"), Ok(block(&[("a", "1")])));
    }

    #[test]
    fn header_that_would_leave_its_line_is_refused() {
        let mut block = HeaderBlock::with_status(408, "Request Timeout").expect("fits");
        for name in ["", "a b", "a:", "a\r\nb", "ä"] {
            assert_eq!(block.push(name, "x").err(), Some(HeaderError::Name), "{name:?}");
        }
        for value in ["a\nb", "a\rb"] {
            assert_eq!(block.push("a", value).err(), Some(HeaderError::Value));
            assert_eq!(HeaderBlock::with_status(100, value), Err(HeaderError::Value));
            assert_eq!(
                set(b"NATS/1.0\r\na: 1\r\n\r\n", "a", value),
                Err(HeaderError::Value)
            );
        }
        assert_eq!(block.finish(), b"NATS/1.0 408 Request Timeout\r\n\r\n");
    }

    proptest! {
        // CORE-35: a block may be anything.
        #[test]
        fn edits_take_any_bytes(bytes in prop::collection::vec(prop::sample::select(b"ab:\r\n ".to_vec()), 0..40)) {
            let removed = remove(&bytes, "a").unwrap_or_default();
            prop_assert!(lines(&removed).all(|line| !line.is_called("a") || !line.whole));
            let set = set(&bytes, "a", "1").expect("fits");
            prop_assert!(get(&set, "a").is_some());
            remove_prefixed(&bytes, "a");
        }
    }
}
