//! Texts of tokens, kept in their nodes where they fit.

/// Bytes that fit: a nuid, the token of every inbox, has 22.
const INLINE: usize = 22;

/// The text of one token in 24 bytes, on the heap only beyond [`INLINE`] bytes.
///
/// Tokens are not interned. Most tokens of a large index are distinct, where interning costs 28 bytes and a
/// second table for each, and a second look-up per token of each published subject.
#[derive(Debug)]
pub(super) enum TokenText {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl TokenText {
    pub(super) fn new(token: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..token.len()), u8::try_from(token.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(token);
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(token.into()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(bytes) => bytes.len(),
        }
    }
}

impl Default for TokenText {
    fn default() -> Self {
        Self::Inline {
            len: 0,
            bytes: [0; INLINE],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_keeps_its_bytes_in_place_up_to_22_and_on_the_heap_beyond() {
        for length in [0, 1, 21, 22, 23, 255, 256, 4096] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let token = TokenText::new(&bytes);
            assert_eq!(token.as_bytes(), bytes);
            assert_eq!(token.heap_bytes(), if length <= 22 { 0 } else { length });
        }
        assert_eq!(size_of::<TokenText>(), 24);
    }
}
