//! Front end for the reference's configuration format (nats.conf).
//!
//! One pass, by recursive descent with a bounded depth. Reaches files and variables only through the
//! [`Source`]. Rules: CORE-113 to CORE-123; the texts are the reference's. Deliberately kinder than the
//! reference: `[1,2]` and `[1k]` are arrays of numbers (CORE-116). Deliberately stricter: a map whose last key
//! has no value is refused, as is a number with a nonsensical suffix; the reference loses such entries.

mod cursor;
mod lookup;
mod scalar;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::report::Report;
use crate::rewrite::Comment;
use crate::source::Source;
use crate::text::quote;
use crate::tree::SyntaxError;
use crate::value::{Entry, Node, Position, Table, Value};

use cursor::{Cursor, END, is_blank, is_newline, is_separator, shown};
use lookup::Shared;
use scalar::{Scalar, ScalarError};

/// Deepest nesting of maps, arrays, included files and variables of the environment together. Real files stay
/// below ten; the stack of any thread allows for this.
const MAX_DEPTH: usize = 128;

/// Parses the content of `file`. Remarks, such as keys given twice, go to `report`.
pub(crate) fn parse(
    content: &[u8],
    file: &str,
    source: &dyn Source,
    report: &mut Report,
) -> Result<Table, SyntaxError> {
    let mut shared = Shared::new(source, report);
    parse_file(content, file, &mut shared)
}

/// The same, with the comments of `content` itself, not of the files that it includes.
pub(crate) fn parse_with_comments(
    content: &[u8],
    file: &str,
    source: &dyn Source,
    report: &mut Report,
) -> Result<(Table, Vec<Comment>), SyntaxError> {
    let mut shared = Shared::new(source, report);
    shared.comments = Some(Vec::new());
    let table = parse_file(content, file, &mut shared)?;
    Ok((table, shared.comments.unwrap_or_default()))
}

fn parse_file(content: &[u8], file: &str, shared: &mut Shared<'_>) -> Result<Table, SyntaxError> {
    let text = scalar::decode(content);
    Parser::new(&text, file, true, shared).document()
}

/// A key with its place.
struct Key {
    name: Arc<str>,
    pos: Position,
}

/// What stands where a key is expected.
enum Item {
    Key(Key),
    Include(String),
}

/// Where the top level stands; maps have their own loop.
#[derive(Clone, Copy, PartialEq)]
enum State {
    /// A key, a block or the end may follow.
    Start,
    /// A value was read; its end must follow.
    AfterValue,
    /// An inner block was closed; more entries or the outer block's end may follow.
    AfterBlock,
}

struct Parser<'a, 's, 'r> {
    cursor: Cursor<'a>,
    file: Arc<str>,
    /// Includes are allowed: not in the text of an environment variable.
    includes: bool,
    /// The maps that are open, outermost first; variables are looked up in them.
    scopes: Vec<Table>,
    shared: &'s mut Shared<'r>,
}

impl<'a, 's, 'r> Parser<'a, 's, 'r> {
    fn new(text: &'a str, file: &str, includes: bool, shared: &'s mut Shared<'r>) -> Self {
        let scopes = vec![Table::default()];
        Self {
            cursor: Cursor::new(text),
            file: Arc::from(file),
            includes,
            scopes,
            shared,
        }
    }

    /// The whole text: entries, possibly wrapped in blocks `{ }` that do not nest the keys (CORE-113).
    fn document(mut self) -> Result<Table, SyntaxError> {
        let mut blocks = 0_usize;
        let mut state = State::Start;
        loop {
            match state {
                State::Start => {
                    self.cursor.skip_space();
                    if self.skip_comment() {
                        continue;
                    }
                    match self.cursor.peek() {
                        END if self.cursor.at_end() => break,
                        END | '/' => return self.lexical_after("Unexpected EOF."),
                        '{' => {
                            self.cursor.bump();
                            blocks += 1;
                        }
                        '}' if blocks > 0 => {
                            self.cursor.bump();
                            state = self.close_block(&mut blocks);
                        }
                        _ => {
                            if !self.top_entry()? {
                                break;
                            }
                            state = State::AfterValue;
                        }
                    }
                }
                State::AfterValue => state = self.after_top_value(&mut blocks)?,
                State::AfterBlock => state = self.after_inner_block(&mut blocks)?,
            }
        }
        Ok(self.scopes.pop().unwrap_or_default())
    }

    /// Takes a comment that starts here, and keeps it where comments are asked for.
    fn skip_comment(&mut self) -> bool {
        let (line, column) = (self.cursor.line(), self.cursor.column());
        let alone = self.cursor.is_line_blank();
        let start = self.cursor.at();
        let found = self.cursor.skip_comment();
        if found
            && self.includes
            && self.shared.include_depth == 0
            && let Some(comments) = &mut self.shared.comments
        {
            let text = self.cursor.since(start);
            let text = text.strip_prefix('#').or_else(|| text.strip_prefix("//"));
            comments.push(Comment {
                line,
                column,
                text: text.unwrap_or_default().trim_end().to_owned(),
                alone,
            });
        }
        found
    }

    fn close_block(&mut self, blocks: &mut usize) -> State {
        *blocks = blocks.saturating_sub(1);
        if *blocks == 0 {
            State::Start
        } else {
            State::AfterBlock
        }
    }

    fn after_top_value(&mut self, blocks: &mut usize) -> Result<State, SyntaxError> {
        self.cursor.skip_blanks();
        if self.skip_comment() {
            return Ok(if *blocks == 0 {
                State::Start
            } else {
                State::AfterValue
            });
        }
        match self.cursor.peek() {
            '/' => {
                self.cursor.bump(); // The reference passes over a lone slash here.
                Ok(State::AfterValue)
            }
            END if *blocks == 0 && self.cursor.at_end() => Ok(State::Start),
            // The reference takes a NUL that is the last byte for the end.
            END if *blocks == 0 && self.cursor.rest() == "\0" => {
                self.cursor.bump();
                Ok(State::Start)
            }
            '}' if *blocks > 0 => {
                self.cursor.bump();
                Ok(self.close_block(blocks))
            }
            end if matches!(end, ';' | ',' | '}') || is_newline(end) => {
                self.cursor.bump();
                Ok(State::Start)
            }
            _ => {
                let level = if *blocks == 0 { "top-level" } else { "block-level" };
                let got = shown(self.cursor.bump());
                self.lexical(&format!(
                    "Expected a {level} value to end with a new line, comment or EOF, but got '{got}' instead."
                ))
            }
        }
    }

    fn after_inner_block(&mut self, blocks: &mut usize) -> Result<State, SyntaxError> {
        self.cursor.skip_space();
        if self.skip_comment() {
            return Ok(State::Start);
        }
        match self.cursor.bump() {
            '/' => Ok(State::AfterBlock),
            ';' | ',' => Ok(State::Start),
            '}' => Ok(self.close_block(blocks)),
            other => {
                let got = shown(other);
                self.lexical(&format!(
                    "Expected a block-level to end with a '}}', but got '{got}' instead."
                ))
            }
        }
    }

    /// One entry or include outside maps. `false`: a lone `}` ended the text instead (CORE-121).
    fn top_entry(&mut self) -> Result<bool, SyntaxError> {
        let key = match self.item(false)? {
            Item::Include(path) => return self.include(&path).map(|()| true),
            Item::Key(key) => key,
        };
        self.cursor.skip_space();
        if is_separator(self.cursor.peek()) {
            self.cursor.bump();
        } else if self.cursor.peek() == END {
            return if &*key.name == "}" {
                Ok(false)
            } else {
                self.without_value()
            };
        }
        self.entry(key)?;
        Ok(true)
    }

    /// A key, or the keyword `include` with its path.
    fn item(&mut self, in_map: bool) -> Result<Item, SyntaxError> {
        let first = self.cursor.peek();
        if is_separator(first) {
            let dot = if in_map { "." } else { "" };
            return self.lexical(&format!("Unexpected key separator '{first}'{dot}"));
        }
        if first == '"' || first == '\'' {
            return self.quoted_key(first, in_map).map(Item::Key);
        }
        let pos = self.position();
        let start = self.cursor.at();
        self.cursor.bump();
        self.cursor
            .take_while(|character| !character.is_whitespace() && !is_separator(character));
        let name = self.cursor.since(start);
        match self.cursor.peek() {
            END if in_map => self.lexical("Unexpected EOF processing map key."),
            space if space.is_whitespace() && name.eq_ignore_ascii_case("include") => {
                self.include_path().map(Item::Include)
            }
            _ => Ok(Item::Key(Key {
                name: Arc::from(name),
                pos,
            })),
        }
    }

    fn quoted_key(&mut self, mark: char, in_map: bool) -> Result<Key, SyntaxError> {
        self.cursor.bump();
        let pos = self.position();
        let name = self.cursor.take_while(|character| character != mark);
        if self.cursor.take(mark) {
            return Ok(Key {
                name: Arc::from(name),
                pos,
            });
        }
        match (in_map, mark) {
            (false, _) => self.lexical("Unexpected EOF."),
            (true, '"') => self.lexical("Unexpected EOF processing double quoted map key."),
            (true, _) => self.lexical("Unexpected EOF processing quoted map key."),
        }
    }

    /// Reads the value of `key` and sets it in the innermost open map.
    fn entry(&mut self, key: Key) -> Result<(), SyntaxError> {
        let node = self.value()?;
        self.set(Entry {
            key: key.name,
            key_pos: key.pos,
            node,
            used_as_variable: false,
        });
        Ok(())
    }

    fn set(&mut self, entry: Entry) {
        let (key, pos) = (Arc::clone(&entry.key), entry.key_pos.clone());
        let earlier = self.scopes.last_mut().and_then(|scope| scope.insert(entry));
        if let Some(earlier) = earlier {
            let text = format!("{} replaces the value given at {}", quote(&key), earlier.key_pos);
            self.shared.report.notice(&pos, &key, text);
        }
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        self.cursor.skip_blanks();
        let mut pos = self.position();
        if matches!(self.cursor.peek(), '"' | '\'') {
            pos.column = pos.column.saturating_add(1); // Text begins behind its quote.
        }
        let value = match self.cursor.peek() {
            '[' => {
                self.cursor.bump();
                Value::Array(self.nested(Self::array)?)
            }
            '{' => {
                self.cursor.bump();
                Value::Table(self.nested(Self::map)?)
            }
            _ => match scalar::scan(&mut self.cursor) {
                Ok(Scalar::Bool(value)) => Value::Bool(value),
                Ok(Scalar::Integer(value)) => Value::Integer(value),
                Ok(Scalar::Float(value)) => Value::Float(value),
                Ok(Scalar::Text(text)) => Value::String(text),
                Ok(Scalar::Date(text)) => Value::Datetime(text),
                Ok(Scalar::Variable(name)) => self.variable(&name)?,
                Err(ScalarError::Lexical(text)) => return self.lexical(&text),
                Err(ScalarError::Plain(text)) => return self.plain(text),
            },
        };
        Ok(Node { value, pos })
    }

    /// Reads something inside an array, a map or another file. The depth counts over all of them, because all
    /// of them are calls within calls.
    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        if self.shared.depth >= MAX_DEPTH {
            return self.too_deep();
        }
        self.shared.depth += 1;
        let result = read(self);
        self.shared.depth -= 1;
        result
    }

    fn too_deep<T>(&self) -> Result<T, SyntaxError> {
        self.plain(format!("maps and arrays are nested deeper than {MAX_DEPTH}"))
    }

    /// After `[`.
    fn array(&mut self) -> Result<Vec<Node>, SyntaxError> {
        let mut items = Vec::new();
        loop {
            self.cursor.skip_space();
            if self.skip_comment() {
                continue;
            }
            match self.cursor.peek() {
                ']' => {
                    self.cursor.bump();
                    return Ok(items);
                }
                ',' | '/' => return self.lexical_after("Unexpected array value terminator ','."),
                _ => items.push(self.value()?),
            }
            if self.after_item()? {
                return Ok(items);
            }
        }
    }

    /// Behind an array's value. `true`: the array ends.
    fn after_item(&mut self) -> Result<bool, SyntaxError> {
        loop {
            self.cursor.skip_blanks();
            if self.skip_comment() {
                continue;
            }
            return match self.cursor.bump() {
                ',' | '/' | '\n' | '\r' => Ok(false),
                ']' => Ok(true),
                other => {
                    let got = shown(other);
                    self.lexical(&format!(
                        "Expected an array value terminator \",\" or an array terminator \"]\", \
                         but got '{got}' instead."
                    ))
                }
            };
        }
    }

    /// After `{`.
    fn map(&mut self) -> Result<Table, SyntaxError> {
        self.scopes.push(Table::default());
        loop {
            self.cursor.skip_space();
            if self.skip_comment() {
                continue;
            }
            match self.cursor.peek() {
                '}' => {
                    self.cursor.bump();
                    break;
                }
                ']' => return self.lexical("Unexpected array end ']' processing map."),
                END => return self.lexical("Unexpected EOF processing map."),
                _ => self.map_entry()?,
            }
            if self.after_map_value()? {
                break;
            }
        }
        Ok(self.scopes.pop().unwrap_or_default())
    }

    fn map_entry(&mut self) -> Result<(), SyntaxError> {
        self.cursor.take('/'); // The reference drops a lone slash before a key.
        let key = match self.item(true)? {
            Item::Include(path) => return self.include(&path),
            Item::Key(key) => key,
        };
        self.cursor.skip_space();
        if is_separator(self.cursor.peek()) {
            self.cursor.bump();
            self.cursor.skip_space();
        }
        match self.cursor.peek() {
            ',' => self.lexical_after("Unexpected map value terminator \",\"."),
            '}' => self.without_value(),
            _ => self.entry(key),
        }
    }

    /// Behind a map's value. `true`: the map ends.
    fn after_map_value(&mut self) -> Result<bool, SyntaxError> {
        loop {
            self.cursor.skip_blanks();
            if self.skip_comment() {
                continue;
            }
            return match self.cursor.bump() {
                ';' | ',' | '/' | '\n' | '\r' => Ok(false),
                '}' => Ok(true),
                other => {
                    let got = shown(other);
                    self.lexical(&format!(
                        "Expected a map value terminator \",\" or a map terminator \"}}\", \
                         but got '{got}' instead."
                    ))
                }
            };
        }
    }

    fn position(&self) -> Position {
        Position {
            file: Arc::clone(&self.file),
            line: self.cursor.line(),
            column: self.cursor.column(),
        }
    }

    fn without_value<T>(&self) -> Result<T, SyntaxError> {
        self.plain(format!("config is invalid ({})", self.position()))
    }

    /// Takes the offending character, then fails.
    fn lexical_after<T>(&mut self, text: &str) -> Result<T, SyntaxError> {
        self.cursor.bump();
        self.lexical(text)
    }

    fn lexical<T>(&self, text: &str) -> Result<T, SyntaxError> {
        self.plain(format!("Parse error on line {}: '{text}'", self.cursor.line()))
    }

    fn plain<T>(&self, reason: String) -> Result<T, SyntaxError> {
        Err(SyntaxError {
            position: self.position(),
            reason,
            remedy: None,
        })
    }
}

fn ends_include(character: char) -> bool {
    matches!(character, ';' | '}' | '\'') || is_newline(character) || is_blank(character)
}
