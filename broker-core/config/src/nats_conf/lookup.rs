//! What a value may refer to: included files, variables of the file, variables of the environment.
//!
//! Rules: CORE-117 to CORE-119. Each kind is bounded, so that a small file cannot grow without end.

use std::path::Path;

use super::cursor::is_newline;
use super::{MAX_DEPTH, Parser, ends_include, parse_file};
use crate::report::Report;
use crate::rewrite::Comment;
use crate::source::Source;
use crate::tree::{SyntaxError, open_error};
use crate::value::{Table, Value};

/// Deepest chain of includes; a file that includes itself ends here.
const MAX_INCLUDE_DEPTH: usize = 16;
/// Most files that one configuration includes.
const MAX_INCLUDES: usize = 4096;
/// Most lookups in the environment.
const MAX_ENVIRONMENT: usize = 65_536;
/// Most values, counted with their text in units of 64 bytes, that references to variables may copy.
const MAX_COPIES: usize = 4_000_000;

/// What the parsers of all files of one configuration share.
pub(super) struct Shared<'r> {
    source: &'r dyn Source,
    pub(super) report: &'r mut Report,
    /// Comments of the first file, where they are asked for.
    pub(super) comments: Option<Vec<Comment>>,
    /// Maps, arrays, files and variables of the environment that are open.
    pub(super) depth: usize,
    pub(super) include_depth: usize,
    includes: usize,
    environment: usize,
    copies: usize,
    /// Variables of the environment that are being read; a second time is a cycle.
    open_variables: Vec<String>,
}

impl<'r> Shared<'r> {
    pub(super) fn new(source: &'r dyn Source, report: &'r mut Report) -> Self {
        Self {
            source,
            report,
            comments: None,
            depth: 0,
            include_depth: 0,
            includes: 0,
            environment: 0,
            copies: 0,
            open_variables: Vec::new(),
        }
    }
}

impl Parser<'_, '_, '_> {
    /// The path after the keyword `include`, quoted or bare.
    pub(super) fn include_path(&mut self) -> Result<String, SyntaxError> {
        self.cursor.skip_blanks();
        let first = self.cursor.peek();
        if first == '\'' || first == '"' {
            self.cursor.bump();
            let path = self.cursor.take_while(|character| character != first);
            if self.cursor.take(first) {
                return Ok(path.to_owned());
            }
            let kind = if first == '"' { "double quoted" } else { "quoted" };
            return self.lexical(&format!("Unexpected EOF in {kind} include"));
        }
        let found = match first {
            '[' => "start of an array",
            '{' => "start of a map",
            '(' => "start of a block",
            '-' => "start of a number",
            digit if digit.is_ascii_digit() => "start of a number",
            '\\' => "escape sequence",
            newline if is_newline(newline) => "new line",
            _ => {
                let path = self.cursor.take_while(|character| !ends_include(character));
                self.cursor.take('\'');
                return Ok(path.to_owned());
            }
        };
        self.lexical_after(&format!("Expected include value but found {found}"))
    }

    /// Sets the entries of the file at `path`, taken relative to this file even if absolute (CORE-117).
    pub(super) fn include(&mut self, path: &str) -> Result<(), SyntaxError> {
        if !self.includes {
            return self.plain("include is not allowed in a variable of the environment".to_owned());
        }
        if path.starts_with('/') {
            let pos = self.position();
            let text = format!("include path {path} is taken relative to the directory of this file");
            self.shared
                .report
                .notice(&pos, "include", text)
                .remedy("write it without the leading slash");
        }
        let file = join(&self.file, path);
        let table = self.included(&file).map_err(|inner| SyntaxError {
            reason: format!("error parsing include file '{path}', {}", inner.reason),
            ..inner
        })?;
        for entry in &table {
            self.set(entry.clone());
        }
        Ok(())
    }

    fn included(&mut self, file: &str) -> Result<Table, SyntaxError> {
        if self.shared.include_depth >= MAX_INCLUDE_DEPTH {
            return self.plain(format!(
                "files include each other deeper than {MAX_INCLUDE_DEPTH}"
            ));
        }
        self.shared.includes += 1;
        if self.shared.includes > MAX_INCLUDES {
            return self.plain(format!("more than {MAX_INCLUDES} files are included"));
        }
        let content = match self.shared.source.read(Path::new(file)) {
            Ok(content) => content,
            Err(error) => return self.plain(open_error(file, &error)),
        };
        self.shared.include_depth += 1;
        let parsed = self.nested(|parser| parse_file(&content, file, parser.shared));
        self.shared.include_depth -= 1;
        parsed
    }

    /// The value of `$name`: the nearest open map that has it already, else the environment (CORE-118).
    pub(super) fn variable(&mut self, name: &str) -> Result<Value, SyntaxError> {
        if name.starts_with("2a$") {
            return Ok(Value::String(format!("${name}"))); // A bcrypt hash, not a variable.
        }
        let line = self.cursor.line();
        if let Some(value) = self.variable_of_file(name) {
            let (weight, depth) = extent(&value);
            if self.shared.depth + depth > MAX_DEPTH {
                return self.too_deep();
            }
            self.shared.copies = self.shared.copies.saturating_add(weight);
            if self.shared.copies > MAX_COPIES {
                return self.plain("references to variables make the configuration too large".to_owned());
            }
            return Ok(value);
        }
        let parsed = self.variable_of_environment(name);
        match parsed {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(SyntaxError {
                position: self.position(),
                reason: format!("variable reference for '{name}' on line {line} can not be found"),
                remedy: Some(format!("define {name} above this line, or in the environment")),
            }),
            Err(reason) => self.plain(format!(
                "variable reference for '{name}' on line {line} could not be parsed: {reason}"
            )),
        }
    }

    fn variable_of_file(&mut self, name: &str) -> Option<Value> {
        let scope = self.scopes.iter_mut().rfind(|scope| scope.get(name).is_some())?;
        scope.mark_used(name);
        scope.get(name).map(|entry| entry.node.value.clone())
    }

    fn variable_of_environment(&mut self, name: &str) -> Result<Option<Value>, String> {
        if self.shared.open_variables.iter().any(|open| open == name) {
            return Err(format!("variable reference cycle for '{name}'"));
        }
        self.shared.environment += 1;
        if self.shared.environment > MAX_ENVIRONMENT || self.shared.open_variables.len() >= MAX_INCLUDE_DEPTH
        {
            return Err("too many variables of the environment refer to each other".to_owned());
        }
        let Some(text) = self.shared.source.env(name) else {
            return Ok(None);
        };
        self.shared.open_variables.push(name.to_owned());
        let text = format!("{KEY}={text}");
        let file = format!("${name}");
        let parsed = self.nested(|parser| Parser::new(&text, &file, false, parser.shared).document());
        self.shared.open_variables.pop();
        let table = parsed.map_err(|error| error.reason)?;
        Ok(table.get(KEY).map(|entry| entry.node.value.clone()))
    }
}

/// Key under which a variable of the environment is parsed.
const KEY: &str = "pk";

/// How much a value holds (see [`MAX_COPIES`]) and how deep it is.
fn extent(value: &Value) -> (usize, usize) {
    let of_all = |values: &mut dyn Iterator<Item = &Value>| {
        values
            .map(extent)
            .fold((1, 1), |(sum, deepest), (weight, depth)| {
                (sum + weight, deepest.max(depth + 1))
            })
    };
    match value {
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => (1, 0),
        Value::String(text) | Value::Datetime(text) => (1 + text.len() / 64, 0),
        Value::Array(items) => of_all(&mut items.iter().map(|item| &item.value)),
        Value::Table(table) => of_all(&mut table.iter().map(|entry| &entry.node.value)),
    }
}

/// Joins `path` to the directory of `file` and cleans the result of `.`, `..` and doubled slashes.
fn join(file: &str, path: &str) -> String {
    let directory = file.rsplit_once('/').map_or(".", |(directory, _)| directory);
    let rooted = file.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    format!("{}{}", if rooted { "/" } else { "" }, parts.join("/"))
}
