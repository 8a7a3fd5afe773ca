//! Numbers as the store's files have them: little-endian, LEB128, and LEB128 in zigzag.
//!
//! Every read says `None` where the bytes end too early, so a decoder of foreign bytes is a row of `?`. Nothing is
//! allocated.

/// What is left of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that were not read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes were not read.
    pub(crate) fn len(&self) -> u64 {
        self.rest.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    /// The next `length` bytes. The length comes from the bytes themselves, so any is allowed.
    pub(crate) fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    /// LEB128, at most ten bytes; more bytes than needed are allowed, as Go allows them.
    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            if at == 9 && *byte > 1 {
                return None; // More than 64 bits.
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = self.rest.get(at + 1..)?;
                return Some(value);
            }
        }
        None
    }

    /// Signed: the sign is in the lowest bit.
    pub(crate) fn varint(&mut self) -> Option<i64> {
        self.uvarint()
            .map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Bytes behind their length as LEB128.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.uvarint()?;
        self.take(length)
    }
}

pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Bytes behind their length as LEB128.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_uvarint(out, text.len() as u64);
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_as_they_were_written(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            put_uvarint(&mut out, unsigned);
            put_varint(&mut out, signed);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.uvarint(), Some(unsigned));
            prop_assert_eq!(cursor.varint(), Some(signed));
            prop_assert!(cursor.is_empty());
        }
    }

    #[test]
    fn the_ends_of_the_range_take_ten_bytes() {
        let mut out = Vec::new();
        put_uvarint(&mut out, u64::MAX);
        assert_eq!(out.len(), 10);
        assert_eq!(Cursor::new(&out).uvarint(), Some(u64::MAX));
        *out.last_mut().unwrap() = 2;
        assert_eq!(Cursor::new(&out).uvarint(), None, "the 65th bit");
        assert_eq!(Cursor::new(&[0x80; 12]).uvarint(), None, "no end");
    }

    #[test]
    fn a_length_beyond_the_end_takes_nothing() {
        let mut cursor = Cursor::new(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01abc");
        assert_eq!(cursor.text(), None);
        assert_eq!(Cursor::new(b"\x03abc!").text(), Some(&b"abc"[..]));
    }
}
