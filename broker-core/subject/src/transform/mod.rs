//! Transforms: one subject made into another.
//!
//! The one implementation for account mappings, imports, streams, their sources and republishing. A transform
//! is compiled once; applying it is one walk over the pieces of its destination. Holds no randomness: who
//! applies a transform draws. Rules: CORE-106 to CORE-110, CORE-112.

mod placeholder;

use smallvec::SmallVec;

use crate::check::{FULL_WILDCARD, PARTIAL_WILDCARD};
use crate::filter::{Filter, FilterBuf};
use crate::pattern::matches;
use crate::subject::{Subject, SubjectBuf, Tokens};
use placeholder::{Cut, Placeholder};

/// A number below the given bound, which is never 0: how a caller lends its randomness.
pub type Draw<'a> = &'a mut dyn FnMut(u32) -> u32;

/// Maps subjects that a source filter matches to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    source: FilterBuf,
    destination: Box<str>,
    pieces: Box<[Piece]>,
}

/// One token of the destination; in it, tokens of the subject are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    Token(usize),
    /// No tokens: the whole subject decides.
    Partition {
        count: u32,
        tokens: Box<[usize]>,
    },
    Random(u32),
    Split {
        token: usize,
        delimiter: Box<[u8]>,
    },
    Cut {
        how: Cut,
        token: usize,
        size: usize,
    },
    /// `>`: what the source's `>` stands for, from this token on.
    Rest(usize),
}

impl Transform {
    /// A transform with every function. An empty source stands for `>`; an empty destination, which to the
    /// reference means "no transform", is for the caller to see and an error here.
    pub fn new(source: &str, destination: &str) -> Result<Self, TransformError> {
        check_shape(destination)?;
        Self::compile(source, destination, false)
    }

    /// A transform that [can be turned round](Self::reversed), as imports need it: `$n` and `{{wildcard(n)}}`
    /// only, and as many of them as the source has wildcards. (CORE-109)
    pub fn strict(source: &str, destination: &str) -> Result<Self, TransformError> {
        Self::compile(source, destination, true)
    }

    fn compile(source: &str, destination: &str, is_strict: bool) -> Result<Self, TransformError> {
        let source = if source.is_empty() { ">" } else { source };
        let source = FilterBuf::new(source.as_bytes()).map_err(|_| TransformError::InvalidSubject)?;
        check_tokens(source.as_filter(), destination)?;
        let places = Places::of(source.as_filter());
        let mut pieces = Vec::new();
        let mut used = 0;
        for token in Tokens::new(destination.as_bytes()) {
            let fault = |fault| TransformError::Destination {
                fault,
                token: String::from_utf8_lossy(token).into_owned(),
            };
            let placeholder = placeholder::parse(token).map_err(fault)?;
            if is_strict && !matches!(placeholder, Placeholder::Literal | Placeholder::Wildcard(_)) {
                return Err(fault(DestinationFault::NotForImports));
            }
            used += placeholder.wildcards();
            pieces.push(places.resolve(placeholder, token)?);
        }
        if is_strict && used < places.wildcards.len() {
            return Err(TransformError::Destination {
                fault: DestinationFault::UnusedWildcards,
                token: destination.to_owned(),
            });
        }
        Ok(Self {
            source,
            destination: destination.into(),
            pieces: pieces.into(),
        })
    }

    /// Which subjects it is for.
    pub fn source(&self) -> Filter<'_> {
        self.source.as_filter()
    }

    /// The destination as it was written.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Whether the same subject may give another result next time, so that a result must not be kept.
    pub fn is_random(&self) -> bool {
        let draws = |piece: &Piece| matches!(piece, Piece::Random(bound) if *bound > 1);
        self.pieces.iter().any(draws)
    }

    /// The subject for `subject`, if the source matches it. (CORE-110)
    pub fn map(&self, subject: Subject<'_>, draw: Draw<'_>) -> Result<SubjectBuf, NotTransformed> {
        if self.source.as_bytes() == FULL_WILDCARD && &*self.destination == ">" {
            return Ok(subject.to_owned());
        }
        if !subject.is_valid_literal() {
            return Err(NotTransformed::InvalidSubject);
        }
        if !matches(self.source.as_filter(), subject) {
            return Err(NotTransformed::NoMatch);
        }
        self.apply(subject, draw).ok_or(NotTransformed::Empty)
    }

    /// Like [`apply_to`](Self::apply_to), with a result of its own; `None` when nothing is left of it.
    pub fn apply(&self, subject: Subject<'_>, draw: Draw<'_>) -> Option<SubjectBuf> {
        let mut out = Vec::new();
        self.apply_to(subject, draw, &mut out);
        SubjectBuf::from_wire(out).ok()
    }

    /// Writes the subject for `subject` behind what is in `out`. Does not ask whether the source matches: a
    /// token that is not there counts as empty. `draw` is called once for each `{{random(n)}}`.
    ///
    /// What is written has no byte that a [`Subject`] must not have, but it can be empty and can have empty
    /// tokens, which reach nobody.
    pub fn apply_to(&self, subject: Subject<'_>, draw: Draw<'_>, out: &mut Vec<u8>) {
        let tokens: SmallVec<[&[u8]; 16]> = subject.tokens().collect();
        let token = |index: usize| tokens.get(index).copied().unwrap_or_default();
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                out.push(b'.');
            }
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Token(index) => out.extend_from_slice(token(*index)),
                Piece::Partition { count, tokens } if tokens.is_empty() => {
                    write_number(out, partition([subject.as_bytes()], *count));
                }
                Piece::Partition { count, tokens } => {
                    write_number(out, partition(tokens.iter().map(|index| token(*index)), *count));
                }
                Piece::Random(bound) => write_number(out, if *bound == 0 { 0 } else { draw(*bound) }),
                Piece::Split {
                    token: index,
                    delimiter,
                } => split(token(*index), delimiter, out),
                Piece::Cut {
                    how,
                    token: index,
                    size,
                } => cut(*how, token(*index), *size, out),
                Piece::Rest(from) => join(tokens.get(*from..).unwrap_or_default().iter().copied(), out),
            }
        }
    }

    /// The transform that undoes this one; `None` if it loses a token, uses one twice or computes one.
    pub fn reversed(&self) -> Option<Self> {
        let source = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => Some(&**text),
            Piece::Rest(_) => Some(FULL_WILDCARD),
            Piece::Token(_) => Some(PARTIAL_WILDCARD),
            _ => None,
        });
        let source = source.collect::<Option<Vec<_>>>()?.join(&b'.');
        let mut destination = Vec::new();
        let mut pieces = Vec::new();
        for (index, token) in self.source.as_filter().tokens().enumerate() {
            // Pieces, not the text, say what the tokens are: a literal of the source may look like a placeholder.
            let (text, piece) = match token {
                PARTIAL_WILDCARD => {
                    let (place, wildcard) = self.only_use_of(index)?;
                    (format!("${wildcard}"), Piece::Token(place))
                }
                FULL_WILDCARD => {
                    let is_rest = |piece: &Piece| matches!(piece, Piece::Rest(_));
                    let place = self.pieces.iter().position(is_rest)?;
                    (">".to_owned(), Piece::Rest(place))
                }
                literal => {
                    let text = std::str::from_utf8(literal).ok()?;
                    (text.to_owned(), Piece::Literal(literal.into()))
                }
            };
            destination.push(text);
            pieces.push(piece);
        }
        Some(Self {
            source: FilterBuf::new(source).ok()?,
            destination: destination.join(".").into(),
            pieces: pieces.into(),
        })
    }

    /// Where the destination uses a token of the subject, and which of its wildcards that is, counted from 1; `None`
    /// unless it does so once.
    fn only_use_of(&self, token: usize) -> Option<(usize, usize)> {
        let uses = self
            .pieces
            .iter()
            .enumerate()
            .filter_map(|(place, piece)| match piece {
                Piece::Token(used) => Some((place, *used)),
                _ => None,
            });
        let mut found = (1..).zip(uses).filter(|(_, (_, used))| *used == token);
        let (wildcard, (place, _)) = found.next()?;
        found.next().is_none().then_some((place, wildcard))
    }
}

/// Turns the wildcards of a filter into placeholders: `foo.*.*` becomes `foo.$1.$2`.
pub fn with_placeholders(filter: Filter<'_>) -> String {
    let mut count = 0;
    let tokens = filter.tokens().map(|token| match token {
        PARTIAL_WILDCARD => {
            count += 1;
            format!("${count}")
        }
        token => String::from_utf8_lossy(token).into_owned(),
    });
    tokens.collect::<Vec<_>>().join(".")
}

/// Turns the placeholders of an import's destination into wildcards, and lists them: `foo.$2.$1` becomes
/// `foo.*.*` with `$2` and `$1`. Functions other than `wildcard` stay as they are.
pub fn with_wildcards(destination: &str) -> (String, Vec<&str>) {
    let mut placeholders = Vec::new();
    let tokens = destination
        .split('.')
        .map(|token| match placeholder::parse(token.as_bytes()) {
            Ok(Placeholder::Wildcard(_)) => {
                placeholders.push(token);
                "*"
            }
            _ => token,
        });
    (tokens.collect::<Vec<_>>().join("."), placeholders)
}

/// Why there is no transform. The texts are the reference's. (CORE-108)
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformError {
    /// Source or destination is no subject, the destination has a `*`, or only one of them has a `>`.
    #[error("invalid subject")]
    InvalidSubject,
    /// A token of the destination cannot be followed.
    #[error("invalid mapping destination: {fault}{}{token}", if token.is_empty() { "" } else { " in " })]
    Destination {
        /// What is wrong.
        fault: DestinationFault,
        /// Where; the reference leaves it out in places.
        token: String,
    },
}

/// What is wrong with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationFault {
    /// An empty token, something behind `>`, or a blank.
    #[error("invalid transform")]
    InvalidTransform,
    /// An import must keep all tokens.
    #[error("not using all of the token wildcard(s)")]
    UnusedWildcards,
    /// No function has this name, or its brackets are not in order.
    #[error("unknown function")]
    UnknownFunction,
    /// The source has fewer wildcards.
    #[error("wildcard index out of range")]
    IndexOutOfRange,
    /// An argument is missing.
    #[error("not enough arguments passed to the function")]
    NotEnoughArguments,
    /// An argument is no number, or above 2^31 - 1, or a delimiter with a blank.
    #[error("function argument is invalid or in the wrong format")]
    InvalidArgument,
    /// An argument too many.
    #[error("too many arguments passed to the function")]
    TooManyArguments,
    /// An import cannot be turned round with it.
    #[error("the only mapping function allowed for import transforms is {{{{Wildcard()}}}}")]
    NotForImports,
}

/// Why a subject was not transformed. The texts are the reference's. (CORE-110)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTransformed {
    /// The subject has an empty token or a wildcard.
    #[error("invalid subject")]
    InvalidSubject,
    /// The source does not match the subject.
    #[error("no matching transforms available")]
    NoMatch,
    /// Nothing is left: the only token was split away.
    #[error("invalid subject")]
    Empty,
}

impl Placeholder {
    /// Wildcards that it names.
    fn wildcards(&self) -> usize {
        match self {
            Self::Literal | Self::Random(_) => 0,
            Self::Wildcard(_) | Self::Split(..) | Self::Cut(..) => 1,
            Self::Partition(_, tokens) => tokens.len(),
        }
    }
}

/// Where the wildcards of a source are.
struct Places {
    /// Index of the token of each `*`.
    wildcards: Vec<usize>,
    /// Index of the token of `>`.
    full: Option<usize>,
}

impl Places {
    fn of(source: Filter<'_>) -> Self {
        let places = |wanted| {
            let tokens = source.tokens().enumerate();
            tokens
                .filter(move |(_, token)| *token == wanted)
                .map(|(index, _)| index)
        };
        Self {
            wildcards: places(PARTIAL_WILDCARD).collect(),
            full: places(FULL_WILDCARD).next(),
        }
    }

    fn resolve(&self, placeholder: Placeholder, token: &[u8]) -> Result<Piece, TransformError> {
        let at = |wildcard| self.token(wildcard, token);
        Ok(match placeholder {
            Placeholder::Literal => match self.full {
                Some(from) if token == FULL_WILDCARD => Piece::Rest(from),
                _ => Piece::Literal(token.into()),
            },
            Placeholder::Random(bound) => Piece::Random(bound),
            Placeholder::Wildcard(wildcard) => Piece::Token(at(wildcard)?),
            Placeholder::Partition(count, wildcards) => Piece::Partition {
                count,
                tokens: if self.is_literal() {
                    // Without wildcards the whole subject decides, whatever is named.
                    Box::default()
                } else {
                    wildcards.into_iter().map(at).collect::<Result<_, _>>()?
                },
            },
            Placeholder::Split(wildcard, delimiter) => Piece::Split {
                token: at(wildcard)?,
                delimiter,
            },
            Placeholder::Cut(how, wildcard, size) => Piece::Cut {
                how,
                token: at(wildcard)?,
                size: usize::try_from(size).unwrap_or(0),
            },
        })
    }

    /// The token of a wildcard that is counted from 1; below that it is the first token.
    fn token(&self, wildcard: i64, placeholder: &[u8]) -> Result<usize, TransformError> {
        let out_of_range = |token| TransformError::Destination {
            fault: DestinationFault::IndexOutOfRange,
            token,
        };
        let placeholder = || String::from_utf8_lossy(placeholder);
        if self.is_literal() {
            return Err(out_of_range(placeholder().into_owned()));
        }
        let Ok(index) = usize::try_from(wildcard - 1) else {
            return Ok(0);
        };
        let place = self.wildcards.get(index).copied();
        place.ok_or_else(|| out_of_range(format!("{}: [{wildcard}]", placeholder())))
    }

    fn is_literal(&self) -> bool {
        self.wildcards.is_empty() && self.full.is_none()
    }
}

/// What the reference looks at before it looks at anything else. (CORE-108)
fn check_shape(destination: &str) -> Result<(), TransformError> {
    let invalid = |token: &str| {
        Err(TransformError::Destination {
            fault: DestinationFault::InvalidTransform,
            token: token.to_owned(),
        })
    };
    let mut is_over = false;
    for token in destination.split('.') {
        if token.is_empty() || is_over {
            return invalid(token);
        }
        if placeholder::function(token.as_bytes()).is_some() {
            if let Err(fault @ DestinationFault::UnknownFunction) = placeholder::parse(token.as_bytes()) {
                return Err(TransformError::Destination {
                    fault,
                    token: token.to_owned(),
                });
            }
            continue;
        }
        is_over = token.as_bytes() == FULL_WILDCARD;
        if token.contains([' ', '\t', '\n', '\r', '\u{c}']) {
            return invalid("");
        }
    }
    Ok(())
}

/// The destination is a subject without `*`, and has a `>` exactly where the source has one.
fn check_tokens(source: Filter<'_>, destination: &str) -> Result<(), TransformError> {
    let mut is_over = false;
    for token in Tokens::new(destination.as_bytes()) {
        // Blanks are allowed between the braces of a function: nothing of it is written.
        let is_text = placeholder::function(token).is_none();
        if is_over || token == PARTIAL_WILDCARD || (is_text && Subject::new(token).is_err()) {
            return Err(TransformError::InvalidSubject);
        }
        is_over = token == FULL_WILDCARD;
    }
    let has_full = source.tokens().any(|token| token == FULL_WILDCARD);
    if is_over == has_full {
        Ok(())
    } else {
        Err(TransformError::InvalidSubject)
    }
}

/// FNV-1a over the parts, as 32 bits, modulo `count`.
fn partition<'a>(parts: impl IntoIterator<Item = &'a [u8]>, count: u32) -> u32 {
    let bytes = parts.into_iter().flatten();
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.checked_rem(count).unwrap_or(0)
}

/// The parts between delimiters that are not empty, as tokens; an empty delimiter parts every character.
fn split(token: &[u8], delimiter: &[u8], out: &mut Vec<u8>) {
    let mut parts: SmallVec<[&[u8]; 16]> = SmallVec::new();
    if delimiter.is_empty() {
        for chunk in token.utf8_chunks() {
            let characters = chunk.valid().split_inclusive(|_| true).map(str::as_bytes);
            parts.extend(characters);
            parts.extend(chunk.invalid().chunks(1));
        }
    } else {
        let mut rest = token;
        while let Some(at) = rest
            .windows(delimiter.len())
            .position(|window| window == delimiter)
        {
            parts.extend(rest.get(..at));
            rest = rest.get(at + delimiter.len()..).unwrap_or_default();
        }
        parts.push(rest);
    }
    join(parts.into_iter().filter(|part| !part.is_empty()), out);
}

/// Cuts a token at `size` bytes; one that is not longer stays whole, and so does all with size 0.
fn cut(how: Cut, token: &[u8], size: usize, out: &mut Vec<u8>) {
    if size == 0 || size >= token.len() {
        out.extend_from_slice(token);
        return;
    }
    let (left, right) = (token.split_at(size), token.split_at(token.len() - size));
    match how {
        Cut::Left => out.extend_from_slice(left.0),
        Cut::Right => out.extend_from_slice(right.1),
        Cut::SplitFromLeft => join([left.0, left.1], out),
        Cut::SplitFromRight => join([right.0, right.1], out),
        Cut::SliceFromLeft => join(token.chunks(size), out),
        Cut::SliceFromRight => {
            let (first, rest) = token.split_at(token.len() % size);
            let first = Some(first).filter(|first| !first.is_empty());
            join(first.into_iter().chain(rest.chunks(size)), out);
        }
    }
}

fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(part);
    }
}

fn write_number(out: &mut Vec<u8>, number: u32) {
    use std::io::Write as _;
    // A vector takes everything.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests;
