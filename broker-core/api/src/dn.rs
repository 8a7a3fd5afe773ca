//! Distinguished names: how certificates name their subjects, and how a configuration writes such a name.
//!
//! The text form is RFC 4514 with the reference's leniencies, since the names of existing users depend on them
//! (AUTH-310). Values are compared exactly, types without regard to case.

/// Why a text is no distinguished name. `Display` gives the reference's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnError {
    /// A value without a type.
    #[error("incomplete type, value pair")]
    Incomplete,
    /// The same, at the end.
    #[error("DN ended with incomplete type, value pair")]
    IncompleteEnd,
    /// A backslash that no two characters follow.
    #[error("got corrupted escaped character")]
    Escape,
    /// A backslash before something that is neither special nor hexadecimal.
    #[error("failed to decode escaped character: encoding/hex: invalid byte: U+{:04X} '{}'", u32::from(*.0), .0)]
    EscapedByte(char),
    /// `#` and BER after the equals sign.
    #[error("unsupported BER encoding")]
    Ber,
    /// Escaped bytes are no text.
    #[error("the name is not valid UTF-8")]
    Text,
}

/// One `type=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnAttribute {
    /// Type as it was written, e.g. `CN`.
    pub kind: String,
    /// Value, without escapes.
    pub value: String,
}

impl DnAttribute {
    fn is_same(&self, other: &Self) -> bool {
        self.kind.eq_ignore_ascii_case(&other.kind) && self.value == other.value
    }
}

/// A distinguished name: parts from the most specific on, each a set of attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName {
    parts: Vec<Vec<DnAttribute>>,
}

impl DistinguishedName {
    /// A name of these parts, the most specific first.
    pub fn new(parts: Vec<Vec<DnAttribute>>) -> Self {
        Self { parts }
    }

    /// The parts, the most specific first.
    pub fn parts(&self) -> &[Vec<DnAttribute>] {
        &self.parts
    }

    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// The text is no distinguished name.
    pub fn parse(text: &str) -> Result<Self, DnError> {
        Parser::default().run(text.as_bytes())
    }

    /// Whether both have the same parts in the same order.
    pub fn is_same(&self, other: &Self) -> bool {
        self.parts.len() == other.parts.len()
            && self
                .parts
                .iter()
                .zip(&other.parts)
                .all(|(a, b)| are_same_attributes(a, b))
    }

    /// Whether both have the same parts in any order.
    pub fn has_same_parts(&self, other: &Self) -> bool {
        let mut left: Vec<_> = other.parts.iter().collect();
        self.parts.len() == other.parts.len()
            && self.parts.iter().all(|part| {
                let found = left.iter().position(|other| are_same_attributes(part, other));
                found.map(|at| left.swap_remove(at)).is_some()
            })
    }
}

/// Attributes of one part have no order.
fn are_same_attributes(left: &[DnAttribute], right: &[DnAttribute]) -> bool {
    let all_in = |some: &[DnAttribute], others: &[DnAttribute]| {
        some.iter()
            .all(|one| others.iter().any(|other| one.is_same(other)))
    };
    left.len() == right.len() && all_in(left, right) && all_in(right, left)
}

#[derive(Default)]
struct Parser {
    name: DistinguishedName,
    part: Vec<DnAttribute>,
    kind: String,
    buffer: Vec<u8>,
    /// Blanks at the buffer's end that were not escaped.
    trailing: usize,
}

impl Parser {
    fn run(mut self, text: &[u8]) -> Result<DistinguishedName, DnError> {
        let mut rest = text;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            match byte {
                b'\\' => rest = self.escaped(behind)?,
                b'=' => {
                    self.kind = self.take()?;
                    if rest.first() == Some(&b'#') {
                        return Err(DnError::Ber);
                    }
                }
                b',' | b'+' => {
                    if self.kind.is_empty() {
                        return Err(DnError::Incomplete);
                    }
                    self.end_attribute()?;
                    if byte == b',' {
                        self.end_part();
                    }
                }
                b' ' if self.buffer.is_empty() => {}
                _ => {
                    self.trailing = if byte == b' ' { self.trailing + 1 } else { 0 };
                    self.buffer.push(byte);
                }
            }
        }
        if !self.buffer.is_empty() {
            if self.kind.is_empty() {
                return Err(DnError::IncompleteEnd);
            }
            self.end_attribute()?;
            self.end_part();
        }
        Ok(self.name)
    }

    /// What follows a backslash: a special character, or two hexadecimal digits.
    fn escaped<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], DnError> {
        self.trailing = 0;
        match rest {
            [
                special @ (b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\'),
                behind @ ..,
            ] => {
                self.buffer.push(*special);
                Ok(behind)
            }
            [high, low, behind @ ..] => {
                let digit = |byte: u8| {
                    let digit = char::from(byte);
                    digit.to_digit(16).ok_or(DnError::EscapedByte(digit))
                };
                let value = digit(*high)? * 16 + digit(*low)?;
                self.buffer.push(u8::try_from(value).unwrap_or_default());
                Ok(behind)
            }
            // The reference passes over a backslash at the very end.
            [] => Ok(rest),
            [_] => Err(DnError::Escape),
        }
    }

    fn take(&mut self) -> Result<String, DnError> {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.truncate(bytes.len() - self.trailing);
        self.trailing = 0;
        String::from_utf8(bytes).map_err(|_| DnError::Text)
    }

    fn end_attribute(&mut self) -> Result<(), DnError> {
        let value = self.take()?;
        let kind = std::mem::take(&mut self.kind);
        self.part.push(DnAttribute { kind, value });
        Ok(())
    }

    fn end_part(&mut self) {
        self.name.parts.push(std::mem::take(&mut self.part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, parts: &[&[(&str, &str)]]) {
        let name = DistinguishedName::parse(text).unwrap();
        let read: Vec<Vec<_>> = name
            .parts()
            .iter()
            .map(|part| part.iter().map(|a| (a.kind.as_str(), a.value.as_str())).collect())
            .collect();
        assert_eq!(read, parts, "{text}");
    }

    // AUTH-310 [TestSuccessfulDNParsing]
    #[test]
    fn a_name_is_read_with_its_blanks_escapes_and_sets() {
        check("", &[]);
        check(
            "cn=Jim\\2C \\22Hasse Hö\\22 Hansson!,dc=dummy,dc=com",
            &[
                &[("cn", "Jim, \"Hasse Hö\" Hansson!")],
                &[("dc", "dummy")],
                &[("dc", "com")],
            ],
        );
        check(
            "OU=Sales+CN=J. Smith,DC=example,DC=net",
            &[
                &[("OU", "Sales"), ("CN", "J. Smith")],
                &[("DC", "example")],
                &[("DC", "net")],
            ],
        );
        check("  CN  =  Lu\\C4\\8Di\\C4\\87  ", &[&[("CN", "Lučić")]]);
        check("   A   =   1   +   B   =   2   ", &[&[("A", "1"), ("B", "2")]]);
        check("   A   =   1   ,   B   =   2   ", &[&[("A", "1")], &[("B", "2")]]);
        check(
            r"   \ \ A\ \    =   \ \ 1\ \    ,   \ \ B\ \    =   \ \ 2\ \    ",
            &[&[("  A  ", "  1  ")], &[("  B  ", "  2  ")]],
        );
    }

    // AUTH-310 [TestErrorDNParsing]
    #[test]
    fn what_is_no_name_is_refused_in_the_references_words() {
        for (text, error) in [
            ("*", "DN ended with incomplete type, value pair"),
            (
                "cn=Jim\\0Test",
                "failed to decode escaped character: encoding/hex: invalid byte: U+0054 'T'",
            ),
            ("cn=Jim\\0", "got corrupted escaped character"),
            ("DC=example,=net", "DN ended with incomplete type, value pair"),
            ("test,DC=example,DC=com", "incomplete type, value pair"),
            ("=test,DC=example,DC=com", "incomplete type, value pair"),
            ("1=#0402486", "unsupported BER encoding"),
            ("cn=\\ff", "the name is not valid UTF-8"),
        ] {
            let read = DistinguishedName::parse(text).map_err(|error| error.to_string());
            assert_eq!(read, Err(error.to_owned()), "{text}");
        }
    }

    // AUTH-308 [TestDNEqual]
    #[test]
    fn names_are_the_same_by_order_of_parts_and_exact_values() {
        for (left, right, same) in [
            ("", "", true),
            ("o=A", "o=A", true),
            ("o=A", "o=B", false),
            ("o=A,o=B", "o=A,o=B", true),
            ("o=A,o=B", "o=B,o=A", false),
            ("o=A+o=B", "o=A+o=C", false),
            ("o=A,o=B", "o=A,O=B", true),
            ("o=a", "O=A", false),
            ("o=A+o=B", "O=B+o=A", true),
            ("o=A+o=B", "O=B+o=A+O=B", false),
            ("o=A+o=B+o=C", "O=B+o=A", false),
            ("cn=John Doe, ou=People", "cn=John Doe,ou=People", true),
            ("cn=John Doe", "cn=John  Doe", false),
        ] {
            let [a, b] = [left, right].map(|text| DistinguishedName::parse(text).unwrap());
            assert_eq!((a.is_same(&b), b.is_same(&a)), (same, same), "{left} and {right}");
        }
    }

    // AUTH-308 [TestDNReverseMatchDuplicates]
    #[test]
    fn each_part_is_matched_once_in_any_order() {
        for (left, right, same) in [
            ("CN=Alice,CN=Alice,O=NATS", "CN=Alice,O=NATS,OU=Users", false),
            ("CN=Alice,O=NATS,OU=Users", "CN=Alice,CN=Alice,O=NATS", false),
            ("CN=Alice,O=NATS", "O=NATS,CN=Alice", true),
            ("CN=Alice,O=NATS", "O=NATS", false),
        ] {
            let [a, b] = [left, right].map(|text| DistinguishedName::parse(text).unwrap());
            assert_eq!(a.has_same_parts(&b), same, "{left} and {right}");
        }
    }
}
