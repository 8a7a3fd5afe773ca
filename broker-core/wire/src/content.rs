//! What a message carries, with the sizes that announce it.

use std::fmt;

/// A number together with the decimal digits that it was sent as (`005` stays `005`, CORE-25).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    value: u32,
    len: u8,
    text: [u8; Self::ROOM],
}

impl Digits {
    /// Ten digits hold any `u32`.
    const ROOM: usize = 10;
    /// Longest number that the protocol takes from a peer (CORE-30): 999999999.
    const MOST_SENT: usize = 9;

    /// The usual digits of `value`.
    pub fn new(value: u32) -> Self {
        let len = value.checked_ilog10().map_or(1, |log| log as u8 + 1); // At most ten.
        let mut text = [0; Self::ROOM];
        let mut rest = value;
        for slot in text.iter_mut().take(usize::from(len)).rev() {
            *slot = b'0' + (rest % 10) as u8; // Below ten.
            rest /= 10;
        }
        Self { value, len, text }
    }

    /// Reads a size as a peer sends it: one to nine ASCII digits, else `None` (CORE-30).
    #[inline]
    pub fn parse(sent: &[u8]) -> Option<Self> {
        if sent.is_empty() || sent.len() > Self::MOST_SENT {
            return None;
        }
        let mut text = [0; Self::ROOM];
        let mut value = 0u32;
        for (slot, &digit) in text.iter_mut().zip(sent) {
            if !digit.is_ascii_digit() {
                return None;
            }
            *slot = digit;
            value = value * 10 + u32::from(digit - b'0'); // Nine digits stay below 2^32.
        }
        Some(Self {
            value,
            len: sent.len() as u8,
            text,
        })
    }

    /// The number.
    #[inline]
    pub fn value(self) -> u32 {
        self.value
    }

    /// The number as a length.
    #[inline]
    pub fn len(self) -> usize {
        self.value as usize
    }

    /// Whether the number is zero.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.value == 0
    }

    /// The digits as sent.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|b| write!(f, "{}", char::from(*b)))
    }
}

/// Headers and payload of one message, and the sizes that announce them.
///
/// The sizes always agree with the bytes, so a frame written from it is whole. Without headers it is
/// sent as `MSG`, with headers as `HMSG`. Cheap to copy; borrows the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    bytes: &'a [u8],
    size: Digits,
    /// Zero: no headers (CORE-35).
    header: Digits,
}

impl<'a> Content<'a> {
    /// A payload without headers; `None` from 4 GiB on.
    pub fn new(payload: &'a [u8]) -> Option<Self> {
        Self::with_headers(payload, 0)
    }

    /// A header block of `header_len` bytes and the payload behind it. A length of 0 means no headers.
    /// `None` if the block is longer than `bytes`, or from 4 GiB on.
    pub fn with_headers(bytes: &'a [u8], header_len: usize) -> Option<Self> {
        let size = u32::try_from(bytes.len()).ok()?;
        let header = u32::try_from(header_len).ok().filter(|header| *header <= size)?;
        let header = if header == 0 {
            NO_HEADERS
        } else {
            Digits::new(header)
        };
        Some(Self {
            bytes,
            size: Digits::new(size),
            header,
        })
    }

    /// What the decoder cut out: `bytes` has `size` bytes, and `header` is not above it.
    #[inline]
    pub(crate) fn decoded(bytes: &'a [u8], size: Digits, header: Option<Digits>) -> Self {
        debug_assert_eq!(bytes.len(), size.len(), "announced and cut out");
        Self {
            bytes,
            size,
            header: header.unwrap_or(NO_HEADERS),
        }
    }

    /// Headers and payload together, without the line end behind them.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Size of [`bytes`](Content::bytes), as announced.
    #[inline]
    pub fn size(&self) -> Digits {
        self.size
    }

    /// Size of the header block, as announced; `None` without headers.
    #[inline]
    pub fn header_size(&self) -> Option<Digits> {
        (!self.header.is_empty()).then_some(self.header)
    }

    /// The header block with its blank line; `None` without headers. Its bytes are as sent: nothing
    /// says that they begin with `NATS/1.0` (CORE-35).
    #[inline]
    pub fn headers(&self) -> Option<&'a [u8]> {
        let block = self.bytes.get(..self.header.len())?;
        (!block.is_empty()).then_some(block)
    }

    /// The payload behind the headers.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.header.len()..).unwrap_or_default()
    }

    /// The same message for a receiver that knows no headers: the payload alone (CORE-58).
    pub fn without_headers(&self) -> Self {
        if self.header.is_empty() {
            return *self;
        }
        let size = self.size.value().saturating_sub(self.header.value());
        Self {
            bytes: self.payload(),
            size: Digits::new(size),
            header: NO_HEADERS,
        }
    }
}

const NO_HEADERS: Digits = Digits {
    value: 0,
    len: 1,
    text: *b"0\0\0\0\0\0\0\0\0\0",
};

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.headers() {
            None => write!(f, "{:?} {}", self.size, crate::Quoted(self.bytes)),
            Some(block) => {
                let (block, payload) = (crate::Quoted(block), crate::Quoted(self.payload()));
                write!(f, "{:?} {:?} {block} {payload}", self.header, self.size)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-30 [TestParseSize, TestParsePubSizeOverflow, TestParsePubBadSize]
    #[test]
    fn size_is_one_to_nine_digits() {
        let value = |sent: &[u8]| Digits::parse(sent).map(Digits::value);
        assert_eq!(value(b"12345678"), Some(12_345_678));
        assert_eq!(value(b"999999999"), Some(999_999_999));
        assert_eq!(value(b"000000000"), Some(0));
        assert_eq!(value(b""), None);
        assert_eq!(value(b"12345invalid678"), None);
        assert_eq!(value(b"-1"), None);
        assert_eq!(value(b"0000000001"), None);
        assert_eq!(value(b"2222222222222222"), None);
    }

    // CORE-25
    #[test]
    fn digits_stay_as_they_were_sent() {
        assert_eq!(
            Digits::parse(b"005").map(|d| (d.value(), format!("{d:?}"))),
            Some((5, "005".into()))
        );
    }

    #[test]
    fn own_numbers_print_as_usual() {
        for value in [0, 7, 10, 99, 100, 4096, u32::MAX] {
            assert_eq!(Digits::new(value).as_bytes(), value.to_string().as_bytes());
        }
        assert_eq!(Digits::new(0), NO_HEADERS);
    }

    // CORE-58
    #[test]
    fn stripped_content_is_the_payload_with_its_own_size() {
        let content = Content::with_headers(b"NATS/1.0\r\n\r\nhello", 12).expect("fits");
        assert_eq!(content.headers(), Some(&b"NATS/1.0\r\n\r\n"[..]));
        let bare = content.without_headers();
        assert_eq!(
            (bare.bytes(), bare.size().value(), bare.headers()),
            (&b"hello"[..], 5, None)
        );
        assert_eq!(Content::with_headers(b"abc", 4), None);
    }
}
