//! Reads Rust sources as far as the checks need: which functions and modules are where, with which attributes.
//!
//! Not a parser. [`mask`] blanks comments, strings and characters, after which braces can be counted; [`scan`] walks
//! what is left. Items that a macro makes are not seen.

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The inline modules around it, from the outside.
    pub(crate) modules: Vec<String>,
    /// Its attributes, without `#[` and `]`; the contents of strings are blank.
    pub(crate) attributes: Vec<String>,
    /// First line (of `fn`) and last line, counted from 1.
    pub(crate) lines: (usize, usize),
}

impl Function {
    /// Whether the test runner calls it.
    pub(crate) fn is_test(&self) -> bool {
        self.attributes.iter().any(|attribute| {
            let path = attribute.split(['(', ' ']).next().unwrap_or_default();
            path == "test" || path.ends_with("::test")
        })
    }

    /// Whether the test runner leaves it out unless asked.
    pub(crate) fn is_ignored(&self) -> bool {
        self.attributes
            .iter()
            .any(|attribute| words(attribute).any(|word| word == "ignore"))
    }
}

/// A module in a file of its own: `mod name;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileModule {
    pub(crate) name: String,
    pub(crate) modules: Vec<String>,
    /// Only compiled for tests.
    pub(crate) for_tests: bool,
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    pub(crate) functions: Vec<Function>,
    pub(crate) file_modules: Vec<FileModule>,
    /// First and last line of each module and function that is only compiled for tests.
    pub(crate) test_lines: Vec<(usize, usize)>,
    /// All attributes with their line.
    pub(crate) attributes: Vec<(usize, String)>,
}

impl Items {
    /// Whether a line is only compiled for tests.
    pub(crate) fn is_for_tests(&self, line: usize) -> bool {
        self.test_lines
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&line))
    }
}

/// Replaces comments and the contents of strings and characters by blanks. Lines keep their numbers and lengths in
/// characters.
pub(crate) fn mask(source: &str) -> String {
    let mut masked = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let before = masked.chars().next_back();
        let blank = blank_length(rest, before);
        match blank {
            Some((keep, length)) => {
                for (index, character) in rest.chars().enumerate().take(length) {
                    let kept = index < keep || character == '\n' || index + 1 == length && keep > 0;
                    masked.push(if kept { character } else { ' ' });
                }
                let end = rest.char_indices().nth(length).map_or(rest.len(), |(at, _)| at);
                rest = rest.get(end..).unwrap_or_default();
            }
            None => {
                masked.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    masked
}

/// If `rest` begins with something to blank: how many characters of its beginning stay, and how long it is in all.
fn blank_length(rest: &str, before: Option<char>) -> Option<(usize, usize)> {
    if rest.starts_with("//") {
        return Some((0, rest.chars().take_while(|c| *c != '\n').count()));
    }
    if rest.starts_with("/*") {
        return Some((0, block_comment(rest)));
    }
    let inside_word = before.is_some_and(is_word);
    let prefix = ["br", "cr", "r", "b", "c"]
        .into_iter()
        .find(|prefix| {
            !inside_word
                && rest
                    .strip_prefix(prefix)
                    .is_some_and(|after| after.starts_with(['"', '#', '\'']))
        })
        .unwrap_or("");
    let body = rest.strip_prefix(prefix)?;
    let hashes = body.chars().take_while(|c| *c == '#').count();
    if prefix.ends_with('r') && body.get(hashes..)?.starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let inner = body.get(hashes + 1..)?;
        let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
        let skipped = prefix.len() + hashes + 1;
        return Some((skipped, skipped + inner.get(..length)?.chars().count()));
    }
    if hashes > 0 {
        return None;
    }
    if body.starts_with('"') {
        return Some((prefix.len() + 1, prefix.len() + quoted(body, '"')));
    }
    let mut characters = body.chars();
    match (characters.next(), characters.next(), characters.next()) {
        // A character, not a lifetime.
        (Some('\''), Some('\\'), _) => Some((prefix.len() + 1, prefix.len() + quoted(body, '\''))),
        (Some('\''), Some(_), Some('\'')) => Some((prefix.len() + 1, prefix.len() + 3)),
        _ => None,
    }
}

fn block_comment(text: &str) -> usize {
    let characters: Vec<char> = text.chars().collect();
    let mut depth = 0_usize;
    let mut index = 0;
    while index < characters.len() {
        match (characters.get(index), characters.get(index + 1)) {
            (Some('/'), Some('*')) => (depth, index) = (depth + 1, index + 2),
            (Some('*'), Some('/')) => (depth, index) = (depth.saturating_sub(1), index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            break;
        }
    }
    index
}

/// The length of a quoted text with escapes, both quotes included.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, character) in text.chars().enumerate().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return index + 1,
            _ => {}
        }
    }
    text.chars().count()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The identifiers of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

/// Finds functions, modules and attributes in a masked source.
pub(crate) fn scan(masked: &str) -> Items {
    let mut scanner = Scanner {
        characters: masked.chars().collect(),
        position: 0,
        line: 1,
        attributes: Vec::new(),
        pending: None,
        nesting: 0,
        open: Vec::new(),
        items: Items::default(),
    };
    scanner.run();
    scanner.items
}

/// An item whose body or `;` is still to come.
struct Pending {
    is_function: bool,
    name: String,
    line: usize,
    attributes: Vec<String>,
}

/// A brace that is open.
struct Open {
    item: Option<Pending>,
    for_tests: bool,
}

struct Scanner {
    characters: Vec<char>,
    position: usize,
    line: usize,
    attributes: Vec<String>,
    pending: Option<Pending>,
    /// Brackets and parentheses that are open since the pending item began.
    nesting: usize,
    open: Vec<Open>,
    items: Items,
}

impl Scanner {
    fn run(&mut self) {
        while let Some(character) = self.peek(0) {
            match character {
                '#' if self.peek(1) == Some('[')
                    || (self.peek(1) == Some('!') && self.peek(2) == Some('[')) =>
                {
                    self.attribute();
                    continue;
                }
                '{' if self.nesting == 0 || self.pending.is_none() => self.open(),
                '}' if self.nesting == 0 || self.pending.is_none() => self.close(),
                ';' if self.nesting == 0 || self.pending.is_none() => self.end_of_statement(),
                '(' | '[' if self.pending.is_some() => self.nesting += 1,
                ')' | ']' if self.pending.is_some() => self.nesting = self.nesting.saturating_sub(1),
                _ if is_word(character) => {
                    let word = self.word();
                    if word == "fn" || word == "mod" {
                        self.begin_item(word == "fn");
                    }
                    continue;
                }
                _ => {}
            }
            self.advance();
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.position + ahead).copied()
    }

    fn advance(&mut self) {
        if self.peek(0) == Some('\n') {
            self.line += 1;
        }
        self.position += 1;
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(character) = self.peek(0).filter(|c| is_word(*c)) {
            word.push(character);
            self.advance();
        }
        word
    }

    fn attribute(&mut self) {
        let line = self.line;
        let is_inner = self.peek(1) == Some('!');
        let mut text = String::new();
        let mut depth = 0_usize;
        while let Some(character) = self.peek(0) {
            match character {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            text.push(character);
            self.advance();
            if character == ']' && depth == 0 {
                break;
            }
        }
        let inner = text
            .trim_start_matches(['#', '!', '['])
            .trim_end_matches(']')
            .trim()
            .to_owned();
        self.items.attributes.push((line, inner.clone()));
        if !is_inner {
            self.attributes.push(inner);
        }
    }

    fn begin_item(&mut self, is_function: bool) {
        let line = self.line;
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.advance();
        }
        let name = self.word();
        // `fn(…)` is a type.
        if !name.is_empty() {
            self.nesting = 0;
            self.pending = Some(Pending {
                is_function,
                name,
                line,
                attributes: std::mem::take(&mut self.attributes),
            });
        }
    }

    fn open(&mut self) {
        let item = self.pending.take();
        let for_tests = item.as_ref().is_some_and(|item| is_for_tests(&item.attributes));
        self.attributes.clear();
        self.open.push(Open { item, for_tests });
    }

    fn close(&mut self) {
        self.attributes.clear();
        let Some(Open {
            item: Some(item),
            for_tests,
        }) = self.open.pop()
        else {
            return;
        };
        let lines = (item.line, self.line);
        if for_tests {
            self.items.test_lines.push(lines);
        }
        if item.is_function {
            self.items.functions.push(Function {
                name: item.name,
                modules: self.modules(),
                attributes: item.attributes,
                lines,
            });
        }
    }

    fn end_of_statement(&mut self) {
        self.attributes.clear();
        if let Some(item) = self.pending.take()
            && !item.is_function
        {
            self.items.file_modules.push(FileModule {
                for_tests: is_for_tests(&item.attributes),
                modules: self.modules(),
                name: item.name,
            });
        }
    }

    fn modules(&self) -> Vec<String> {
        self.open
            .iter()
            .filter_map(|open| open.item.as_ref())
            .filter(|item| !item.is_function)
            .map(|item| item.name.clone())
            .collect()
    }
}

/// Whether an item with these attributes is only compiled for tests.
fn is_for_tests(attributes: &[String]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.starts_with("cfg(") && !attribute.contains("not(test)");
        attribute == "test"
            || attribute.contains("::test")
            || is_cfg && words(attribute).any(|word| word == "test")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blank() {
        let source = "a /* { /* } */ */ b // {\n\"{\\\"}\" r#\"{\"#; b'{' '{' '\\'' 'a: &'a str br\"}\"";
        let masked = mask(source);
        assert_eq!(masked.chars().count(), source.chars().count());
        assert!(!masked.contains(['{', '}']), "{masked}");
        assert!(masked.contains("'a: &'a str"), "{masked}");
    }

    #[test]
    fn raw_identifiers_and_words_that_end_like_a_prefix_stay() {
        assert_eq!(mask("r#fn attr\"x\""), "r#fn attr\" \"");
    }

    fn functions(source: &str) -> Vec<(String, bool, bool, (usize, usize))> {
        scan(&mask(source))
            .functions
            .iter()
            .map(|function| {
                let mut path = function.modules.clone();
                path.push(function.name.clone());
                (
                    path.join("::"),
                    function.is_test(),
                    function.is_ignored(),
                    function.lines,
                )
            })
            .collect()
    }

    #[test]
    fn functions_are_found_with_their_modules_and_attributes() {
        let source = "\
fn one(x: [u8; 4], f: fn(u8) -> u8) -> [u8; 2] {
    let y = { 1 };
}
mod a {
    #[cfg(test)]
    mod tests {
        #[test]
        #[ignore = \"slow\"]
        fn two() {}

        #[tokio::test(start_paused = true)]
        async fn three() {
        }
    }
}
trait T { fn none(&self); }
";
        assert_eq!(
            functions(source),
            [
                ("one".to_owned(), false, false, (1, 3)),
                ("a::tests::two".to_owned(), true, true, (9, 9)),
                ("a::tests::three".to_owned(), true, false, (12, 13)),
            ]
        );
    }

    #[test]
    fn tests_inside_a_macro_are_found() {
        let source = "proptest! {\n  #[test]\n  fn holds(x in 0..9) { x }\n}\n";
        assert_eq!(functions(source), [("holds".to_owned(), true, false, (3, 3))]);
    }

    #[test]
    fn test_module_and_file_modules_are_found() {
        let items = scan(&mask(
            "mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\nmod tests {\n  mod c;\n}\n",
        ));
        assert!(items.is_for_tests(6) && !items.is_for_tests(1));
        let found: Vec<_> = items
            .file_modules
            .iter()
            .map(|module| (module.name.as_str(), module.for_tests, module.modules.len()))
            .collect();
        assert_eq!(found, [("a", false, 0), ("b", true, 0), ("c", false, 1)]);
    }
}
