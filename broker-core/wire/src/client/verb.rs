//! The word that begins an operation.

use super::WireError;

/// An operation that a client may begin (CORE-26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Connect,
    Err,
    HeaderMsg,
    Hpub,
    Info,
    Ok,
    Ping,
    Pong,
    Pub,
    Sub,
    Unsub,
}

struct Word {
    verb: Verb,
    text: &'static [u8],
    /// State of the reference's parser after none, one, two .. bytes of the word; only logs show it.
    states: &'static [u8],
    /// Whether a blank must follow at once.
    blank: bool,
}

/// Clears the bit that tells a small ASCII letter from a capital.
const FOLD: u8 = !0x20;

impl Verb {
    /// Length of the word, in bytes.
    #[inline]
    pub(super) fn len(self) -> usize {
        match self {
            Self::Ok | Self::Pub | Self::Sub => 3,
            Self::Err | Self::HeaderMsg | Self::Hpub | Self::Info | Self::Ping | Self::Pong => 4,
            Self::Unsub => 5,
            Self::Connect => 7,
        }
    }

    /// The verb at the front; `None` while it could still become one. CORE-27: a byte that fits no
    /// verb is an error at once, without waiting for the line's end.
    #[inline]
    pub(super) fn read(front: &[u8]) -> Result<Option<Self>, WireError> {
        // The hot ones by their first four bytes.
        if let Some([a, b, c, d]) = front.first_chunk::<4>() {
            match [a & FOLD, b & FOLD, c & FOLD] {
                [b'P', b'U', b'B'] if is_blank(*d) => return Ok(Some(Self::Pub)),
                [b'S', b'U', b'B'] if is_blank(*d) => return Ok(Some(Self::Sub)),
                [b'H', b'P', b'U'] if d & FOLD == b'B' && front.get(4).is_some_and(|b| is_blank(*b)) => {
                    return Ok(Some(Self::Hpub));
                }
                [b'P', b'I', b'N'] if d & FOLD == b'G' => return Ok(Some(Self::Ping)),
                [b'P', b'O', b'N'] if d & FOLD == b'G' => return Ok(Some(Self::Pong)),
                _ => {}
            }
        }
        Self::look_up(front)
    }

    fn look_up(front: &[u8]) -> Result<Option<Self>, WireError> {
        // Words that share a beginning share its states, so any of the longest matches will do.
        let Some((matched, word)) = WORDS
            .iter()
            .map(|w| (w.matched(front), w))
            .max_by_key(|(n, _)| *n)
        else {
            return Ok(None);
        };
        let fits = match front.get(matched) {
            None => {
                return Ok(if word.blank || matched < word.text.len() {
                    None
                } else {
                    Some(word.verb)
                });
            }
            Some(&next) => matched == word.text.len() && (!word.blank || is_blank(next)),
        };
        if fits {
            return Ok(Some(word.verb));
        }
        let state = word.states.get(matched).copied().unwrap_or_default();
        Err(WireError::unknown(state, matched, front))
    }
}

impl Word {
    fn matched(&self, front: &[u8]) -> usize {
        self.text
            .iter()
            .zip(front)
            .take_while(|(a, b)| a.eq_ignore_ascii_case(b))
            .count()
    }
}

/// Space or tab.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const WORDS: [Word; 11] = [
    Word {
        verb: Verb::Pub,
        text: b"PUB",
        states: &[0, 29, 30, 31],
        blank: true,
    },
    Word {
        verb: Verb::Ping,
        text: b"PING",
        states: &[0, 29, 34, 35, 36],
        blank: false,
    },
    Word {
        verb: Verb::Pong,
        text: b"PONG",
        states: &[0, 29, 37, 38, 39],
        blank: false,
    },
    Word {
        verb: Verb::Hpub,
        text: b"HPUB",
        states: &[0, 18, 19, 20, 21],
        blank: true,
    },
    Word {
        verb: Verb::HeaderMsg,
        text: b"HMSG",
        states: &[0, 18, 24, 25, 26],
        blank: true,
    },
    Word {
        verb: Verb::Sub,
        text: b"SUB",
        states: &[0, 43, 44, 45],
        blank: true,
    },
    Word {
        verb: Verb::Unsub,
        text: b"UNSUB",
        states: &[0, 59, 60, 61, 62, 63],
        blank: true,
    },
    Word {
        verb: Verb::Connect,
        text: b"CONNECT",
        states: &[0, 10, 11, 12, 13, 14, 15, 16],
        blank: false,
    },
    Word {
        verb: Verb::Info,
        text: b"INFO",
        states: &[0, 71, 72, 73, 74],
        blank: false,
    },
    Word {
        verb: Verb::Ok,
        text: b"+OK",
        states: &[0, 1, 2, 3],
        blank: false,
    },
    Word {
        verb: Verb::Err,
        text: b"-ERR",
        states: &[0, 4, 5, 6, 7],
        blank: true,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_any_case() {
        for word in &WORDS {
            assert_eq!(
                (word.text.len(), word.states.len()),
                (word.verb.len(), word.text.len() + 1)
            );
            let line = [word.text, b" "].concat();
            for line in [line.to_ascii_lowercase(), line] {
                assert_eq!(Verb::read(&line), Ok(Some(word.verb)));
            }
        }
    }
}
