//! A place in the text: characters one by one, with line and column as the reference counts them.

/// Stands for the end of the text; a NUL in the text ends it the same way, as in the reference.
pub(super) const END: char = '\0';

/// Walks over the text. Never past its end, never back.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// The next character, or [`END`].
    pub(super) fn peek(&self) -> char {
        self.rest().chars().next().unwrap_or(END)
    }

    /// Takes one character, or stays and gives [`END`].
    pub(super) fn bump(&mut self) -> char {
        let Some(character) = self.rest().chars().next() else {
            return END;
        };
        if character == '\n' {
            self.line = self.line.saturating_add(1);
            self.line_start = self.at;
        }
        self.at += character.len_utf8();
        character
    }

    /// Takes `wanted` if it comes next.
    pub(super) fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == wanted && !self.at_end();
        if found {
            self.bump();
        }
        found
    }

    /// Takes characters while `wanted` holds; never a NUL, which the caller sees as the end.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek() != END && wanted(self.peek()) {
            self.bump();
        }
        self.since(start)
    }

    /// Takes blanks and newlines of any kind.
    pub(super) fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// Takes blanks within the line.
    pub(super) fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }

    /// Takes a comment that starts here, `#` or `//`, up to its line's end. `false` if there is none.
    pub(super) fn skip_comment(&mut self) -> bool {
        let found = self.rest().starts_with('#') || self.rest().starts_with("//");
        if found {
            // A NUL ends the comment for the reference too; what follows is then an error.
            self.take_while(|character| !is_newline(character));
        }
        found
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// Bytes from the newline before this line; on the first line, from the start of the text (CORE-122).
    pub(super) fn column(&self) -> u32 {
        u32::try_from(self.at.saturating_sub(self.line_start)).unwrap_or(u32::MAX)
    }

    /// Whether only blanks stand before this in its line.
    pub(super) fn is_line_blank(&self) -> bool {
        self.since(self.line_start).trim().is_empty()
    }

    /// The text from `start` up to here.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The last `count` bytes, as far as they are whole characters.
    pub(super) fn last_bytes(&self, count: usize) -> &'a str {
        self.since(self.at.saturating_sub(count))
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// Blank within a line.
pub(super) fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

/// End of a line.
pub(super) fn is_newline(character: char) -> bool {
    character == '\n' || character == '\r'
}

/// Separates a key from its value.
pub(super) fn is_separator(character: char) -> bool {
    character == '=' || character == ':'
}

/// A character as error texts show it.
pub(super) fn shown(character: char) -> String {
    if character == '\n' {
        "\\n".to_owned()
    } else {
        character.to_string()
    }
}
