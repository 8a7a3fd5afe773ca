//! What one token of a destination asks for.

use super::DestinationFault;

/// A destination token as it was written; wildcards are still counted as the writer counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// The token stands for itself.
    Literal,
    /// `$w`, `{{wildcard(w)}}`.
    Wildcard(i64),
    /// `{{partition(n, w, ...)}}`: the number of partitions, and the wildcards that decide; none means the
    /// whole subject.
    Partition(u32, Vec<i64>),
    /// `{{random(n)}}`: numbers below `n`; 0 gives 0.
    Random(u32),
    /// `{{split(w, delimiter)}}`.
    Split(i64, Box<[u8]>),
    /// The functions of a wildcard and a length.
    Cut(Cut, i64, i32),
}

/// How a token is cut by a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    SplitFromLeft,
    SplitFromRight,
    SliceFromLeft,
    SliceFromRight,
    Left,
    Right,
}

/// Functions of a wildcard and a length; a capital letter may also be a small one.
const CUTS: [(&str, Cut); 6] = [
    ("SplitFromLeft", Cut::SplitFromLeft),
    ("SplitFromRight", Cut::SplitFromRight),
    ("SliceFromLeft", Cut::SliceFromLeft),
    ("SliceFromRight", Cut::SliceFromRight),
    ("Left", Cut::Left),
    ("Right", Cut::Right),
];

/// Reads one token of a destination. (CORE-106, CORE-108)
pub(super) fn parse(token: &[u8]) -> Result<Placeholder, DestinationFault> {
    if let [b'$', digits @ ..] = token {
        // Other subjects begin with `$` too, so what is no number is text.
        return Ok(number(digits).map_or(Placeholder::Literal, Placeholder::Wildcard));
    }
    let Some(inside) = function(token) else {
        return Ok(Placeholder::Literal);
    };
    let (name, list) = call(inside).ok_or(DestinationFault::UnknownFunction)?;
    let arguments = split_arguments(list);
    if is_named(name, "Wildcard") {
        return wildcard(&arguments);
    }
    if is_named(name, "Partition") {
        return partition(&arguments);
    }
    if is_named(name, "Random") {
        let [count] = *arguments else {
            return Err(DestinationFault::NotEnoughArguments);
        };
        // The reference takes the remainder of a division, whose sign does not depend on the divisor's.
        return Ok(Placeholder::Random(count31(count)?.unsigned_abs()));
    }
    if is_named(name, "Split") {
        let (token, delimiter) = two(&arguments)?;
        if delimiter.contains(&b' ') {
            return Err(DestinationFault::InvalidArgument);
        }
        return Ok(Placeholder::Split(argument(token)?, delimiter.into()));
    }
    let cut = CUTS.iter().find(|(known, _)| is_named(name, known));
    let &(_, cut) = cut.ok_or(DestinationFault::UnknownFunction)?;
    let (token, size) = two(&arguments)?;
    let token = argument(token)?;
    let size = i32::try_from(argument(size)?).map_err(|_| DestinationFault::InvalidArgument)?;
    Ok(Placeholder::Cut(cut, token, size))
}

/// What stands between the braces, if the token is a function.
pub(super) fn function(token: &[u8]) -> Option<&[u8]> {
    let inside = token.strip_prefix(b"{{")?.strip_suffix(b"}}")?;
    (!inside.is_empty()).then_some(inside)
}

fn wildcard(arguments: &[&[u8]]) -> Result<Placeholder, DestinationFault> {
    match arguments {
        [b""] => Err(DestinationFault::NotEnoughArguments),
        [token] => Ok(Placeholder::Wildcard(argument(token)?)),
        _ => Err(DestinationFault::TooManyArguments),
    }
}

fn partition(arguments: &[&[u8]]) -> Result<Placeholder, DestinationFault> {
    let Some((count, tokens)) = arguments.split_first() else {
        return Err(DestinationFault::NotEnoughArguments);
    };
    // The reference divides by the bits of a negative number.
    let count = count31(count)?.cast_unsigned();
    let tokens = tokens
        .iter()
        .map(|token| argument(token))
        .collect::<Result<_, _>>()?;
    Ok(Placeholder::Partition(count, tokens))
}

/// Name and arguments of `name(arguments)`, with blanks around both.
fn call(inside: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = trim(inside).strip_suffix(b")")?;
    let open = inside.iter().position(|&byte| byte == b'(')?;
    let (name, rest) = inside.split_at_checked(open)?;
    Some((trim(name), rest.get(1..)?))
}

/// Whether `name` is `known`, whose capital letters may be small.
fn is_named(name: &[u8], known: &str) -> bool {
    name.len() == known.len()
        && name
            .iter()
            .zip(known.bytes())
            .all(|(&byte, known)| byte == known || byte == known.to_ascii_lowercase())
}

/// Cuts at commas, and drops the blanks behind each; at least one argument, which may be empty.
fn split_arguments(list: &[u8]) -> Vec<&[u8]> {
    let mut arguments: Vec<&[u8]> = list.split(|&byte| byte == b',').collect();
    for argument in arguments.iter_mut().skip(1) {
        let blanks = argument.iter().take_while(|&&byte| is_blank(byte)).count();
        *argument = argument.get(blanks..).unwrap_or_default();
    }
    arguments
}

fn two<'a>(arguments: &[&'a [u8]]) -> Result<(&'a [u8], &'a [u8]), DestinationFault> {
    match *arguments {
        [first, second] => Ok((first, second)),
        [] | [_] => Err(DestinationFault::NotEnoughArguments),
        _ => Err(DestinationFault::TooManyArguments),
    }
}

/// A number up to 2^31 - 1; the bits above the 32nd of a negative one do not count.
fn count31(text: &[u8]) -> Result<i32, DestinationFault> {
    let value = argument(text)?;
    if value > i64::from(i32::MAX) {
        return Err(DestinationFault::InvalidArgument);
    }
    Ok(value as i32)
}

fn argument(text: &[u8]) -> Result<i64, DestinationFault> {
    let spaces = text.iter().take_while(|&&byte| byte == b' ').count();
    let text = text.get(spaces..).unwrap_or_default();
    let spaces = text.iter().rev().take_while(|&&byte| byte == b' ').count();
    let text = text.get(..text.len() - spaces).unwrap_or_default();
    number(text).ok_or(DestinationFault::InvalidArgument)
}

/// A whole number with an optional sign.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-106 [TestPlaceHolderIndex]
    #[test]
    fn placeholder_is_read_in_every_spelling() {
        let read = |token: &str| parse(token.as_bytes()).unwrap();
        for token in [
            "$12",
            "{{wildcard(12)}}",
            "{{Wildcard(12)}}",
            "{{ wildcard ( 12 ) }}",
            "$+12",
        ] {
            assert_eq!(read(token), Placeholder::Wildcard(12), "{token}");
        }
        for token in [
            "{{partition(10,1,2,3)}}",
            "{{ Partition (10,1,2,3) }}",
            "{{partition(10,  1,\t2, 3 )}}",
        ] {
            assert_eq!(read(token), Placeholder::Partition(10, vec![1, 2, 3]), "{token}");
        }
        for (name, cut) in CUTS {
            for name in [name.to_string(), name.to_lowercase()] {
                let expected = Placeholder::Cut(cut, 3, 2);
                assert_eq!(read(&format!("{{{{{name}(3,2)}}}}")), expected);
                assert_eq!(read(&format!("{{{{ {name}( 3 , 2 ) }}}}")), expected);
            }
        }
        assert_eq!(
            read("{{splitFromright(1,-4)}}"),
            Placeholder::Cut(Cut::SplitFromRight, 1, -4)
        );
        assert_eq!(read("{{split(1,-)}}"), Placeholder::Split(1, (*b"-").into()));
        assert_eq!(read("{{split(1,)}}"), Placeholder::Split(1, (*b"").into()));
        assert_eq!(read("{{random(6)}}"), Placeholder::Random(6));
        assert_eq!(read("{{random(-6)}}"), Placeholder::Random(6));
    }

    // CORE-106: a token that only looks like a placeholder is text.
    #[test]
    fn other_tokens_stand_for_themselves() {
        for token in [
            "foo",
            "$",
            "$JS",
            "$1x",
            "$ 1",
            "{{}}",
            "{{x}",
            "{wildcard(1)}",
            "x{{wildcard(1)}}",
            "$99999999999999999999",
        ] {
            assert_eq!(parse(token.as_bytes()), Ok(Placeholder::Literal), "{token}");
        }
    }

    // CORE-108
    #[test]
    fn fault_says_what_is_wrong_with_the_arguments() {
        use DestinationFault::{InvalidArgument, NotEnoughArguments, TooManyArguments, UnknownFunction};
        for (inside, fault) in [
            ("wildcard()", NotEnoughArguments),
            ("wildcard( )", InvalidArgument),
            ("wildcard(1,2)", TooManyArguments),
            ("wildcard(foo)", InvalidArgument),
            ("wildcard(1))", InvalidArgument),
            ("partition()", InvalidArgument),
            ("partition(2147483648)", InvalidArgument),
            ("partition(1,x)", InvalidArgument),
            ("random()", InvalidArgument),
            ("random(1,2)", NotEnoughArguments),
            ("random(2147483648)", InvalidArgument),
            ("split(1)", NotEnoughArguments),
            ("split(1,a,b)", TooManyArguments),
            ("split(x,a)", InvalidArgument),
            ("split(1,a )", InvalidArgument),
            ("left(1)", NotEnoughArguments),
            ("left(1,2,3)", TooManyArguments),
            ("left(1,2147483648)", InvalidArgument),
            ("right(a,1)", InvalidArgument),
            ("unimplemented(1)", UnknownFunction),
            ("WILDCARD(1)", UnknownFunction),
            (" wildcard5) ", UnknownFunction),
            ("splitLeft(2,2", UnknownFunction),
            ("wildcard", UnknownFunction),
        ] {
            assert_eq!(
                parse(format!("{{{{{inside}}}}}").as_bytes()),
                Err(fault),
                "{inside}"
            );
        }
        for inside in [
            "partition(2147483647)",
            "random(2147483647)",
            "partition(0)",
            "partition(-1)",
        ] {
            assert!(parse(format!("{{{{{inside}}}}}").as_bytes()).is_ok(), "{inside}");
        }
    }
}
