//! Cuts credentials out of a CONNECT before it is traced.
//!
//! What is found is what the reference finds: it searches the text, not the JSON, so that a damaged CONNECT gives
//! nothing away either, and a word that merely begins with `pass` loses what follows it. More is cut out than there:
//! keys in any case, as CONNECT takes them, `jwt`, which a bearer needs no key for, and values as far as they go.

use std::borrow::Cow;

/// What stands for a credential.
const REDACTED: &[u8] = b"[REDACTED]";

/// Keys that count whatever follows their beginning, e.g. `password`.
const BEGINNINGS: [&[u8]; 2] = [b"auth_token", b"pass"];

/// Keys that count only as whole words.
const WORDS: [&[u8]; 4] = [b"proxy_sig", b"nkey", b"sig", b"jwt"];

/// `text` with `[REDACTED]` in place of every credential (CORE-141).
pub(crate) fn without_secrets(text: &[u8]) -> Cow<'_, [u8]> {
    let first = replace(text, by_beginning).map_or(Cow::Borrowed(text), Cow::Owned);
    match replace(&first, by_word) {
        Some(second) => Cow::Owned(second),
        None => first,
    }
}

/// Where a key ends at or behind a place of the text, if one begins there.
type Find = fn(&[u8], usize) -> Option<usize>;

/// Replaces the value of every key that `find` knows. `None`: there is none.
fn replace(text: &[u8], find: Find) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while at < text.len() {
        let Some(value) = find(text, at) else {
            at += 1;
            continue;
        };
        let len = value_len(text, value);
        kept.extend_from_slice(text.get(copied..value).unwrap_or_default());
        kept.extend_from_slice(REDACTED);
        copied = value + len;
        at = copied.max(at + 1);
    }
    if copied == 0 {
        return None;
    }
    kept.extend_from_slice(text.get(copied..).unwrap_or_default());
    Some(kept)
}

/// How long the value at `at` is: a text up to its closing quote, an array or an object up to the end of all, anything else
/// up to what ends a word of JSON.
fn value_len(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let is_text = at.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'"');
    if is_text {
        let mut is_escaped = false;
        let is_inside = |byte: &&u8| {
            let goes_on = **byte != b'"' || is_escaped;
            is_escaped = **byte == b'\\' && !is_escaped;
            goes_on
        };
        return rest.iter().take_while(is_inside).count();
    }
    if matches!(rest.first(), Some(b'[' | b'{')) {
        return rest.len();
    }
    let is_end = |byte: &u8| matches!(byte, b'"' | b',' | b'\r' | b'\n' | b'}');
    rest.iter().take_while(|byte| !is_end(byte)).count()
}

fn begins_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(word))
}

/// The key's name may go on with anything but white space up to the first separator.
fn by_beginning(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..).unwrap_or_default();
    let beginning = BEGINNINGS.iter().find(|word| begins_with(rest, word))?;
    let mut end = at + beginning.len();
    loop {
        if let Some(value) = separator(text, end) {
            return Some(value);
        }
        if text.get(end).is_none_or(|byte| is_space(*byte)) {
            return None;
        }
        end += 1;
    }
}

fn by_word(text: &[u8], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
        return None;
    }
    let rest = text.get(at..).unwrap_or_default();
    let words = WORDS.iter().filter(|word| begins_with(rest, word));
    words.filter_map(|word| separator(text, at + word.len())).next()
}

/// Where the value begins if a quote, blanks, `:` or `=`, blanks and a quote stand at `at`; all but the sign may be
/// missing.
fn separator(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let rest = skip_space(rest);
    let rest = rest.strip_prefix(b":").or_else(|| rest.strip_prefix(b"="))?;
    let rest = skip_space(rest);
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    Some(text.len() - rest.len())
}

fn skip_space(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|byte| is_space(**byte)).count();
    text.get(count..).unwrap_or_default()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let redacted = without_secrets(text.as_bytes());
        assert_eq!(String::from_utf8_lossy(&redacted), expected);
    }

    // CORE-141 [TestRemovePassFromTrace, TestNoPasswordsFromConnectTrace]
    #[test]
    fn passwords_are_cut_out() {
        check(
            r#"{"user":"derek","pass":"s3cr3t"}"#,
            r#"{"user":"derek","pass":"[REDACTED]"}"#,
        );
        check(
            "CONNECT {\"echo\":true,\"pass\":\t  \"s3cr3t\" , \"user\" : \"foo\" }\r\n",
            "CONNECT {\"echo\":true,\"pass\":\t  \"[REDACTED]\" , \"user\" : \"foo\" }\r\n",
        );
        check("pass = s3cr3t, user = joe", "pass = [REDACTED], user = joe");
        check(
            r#"{"password":"s3cr3t","passphrase":"x"}"#,
            r#"{"password":"[REDACTED]","passphrase":"[REDACTED]"}"#,
        );
        check(
            r#"{"pass":"a","pass":"b"}"#,
            r#"{"pass":"[REDACTED]","pass":"[REDACTED]"}"#,
        );
        check(r#"{"pass":""}"#, r#"{"pass":"[REDACTED]"}"#);
        check(r#"{"user":"joe"}"#, r#"{"user":"joe"}"#);
    }

    // CORE-141 [TestRemoveAuthTokenFromTrace]
    #[test]
    fn tokens_are_cut_out() {
        check(
            r#"{"auth_token":"s3cr3t","name":"n"}"#,
            r#"{"auth_token":"[REDACTED]","name":"n"}"#,
        );
        check("auth_token=s3cr3t}", "auth_token=[REDACTED]}");
    }

    // CORE-141 [TestRemoveAdditionalAuthFieldsFromTrace]
    #[test]
    fn keys_and_signatures_are_cut_out() {
        check(
            r#"{"sig":"a","proxy_sig":"b","nkey":"c","sigma":"d","my_sig":"e"}"#,
            r#"{"sig":"[REDACTED]","proxy_sig":"[REDACTED]","nkey":"[REDACTED]","sigma":"d","my_sig":"e"}"#,
        );
    }

    // CORE-141, done better: what the reference lets through.
    #[test]
    fn value_is_cut_out_as_far_as_it_goes() {
        check(r#"{"pass":"a,s3cr3t}b"}"#, r#"{"pass":"[REDACTED]"}"#);
        check(r#"{"pass":"a\\","x":"y"}"#, r#"{"pass":"[REDACTED]","x":"y"}"#);
        check(r#"{"pass":["s3cr3t"]}"#, r#"{"pass":[REDACTED]"#);
        check(
            r#"{"PASS":"s3cr3t","Sig":"x"}"#,
            r#"{"PASS":"[REDACTED]","Sig":"[REDACTED]"}"#,
        );
        check(r#"{"jwt":"e.y.J"}"#, r#"{"jwt":"[REDACTED]"}"#);
    }

    // CORE-141: what the reference cuts out too much, or from damaged text.
    #[test]
    fn what_only_looks_like_a_key_counts_too() {
        check(
            r#"{"user":"passer","x":1}"#,
            r#"{"user":"passer","x":[REDACTED]}"#,
        );
        check(r#"{"pass":"s3c"#, r#"{"pass":"[REDACTED]"#);
        check(r#"{"pass" "x":1}"#, r#"{"pass" "x":1}"#);
        check("pass", "pass");
        check(r#"{"pass":"a\"b","x":"y"}"#, r#"{"pass":"[REDACTED]","x":"y"}"#);
        check(r#"{"auth_tokenpass":"x"}"#, r#"{"auth_tokenpass":"[REDACTED]"}"#);
        check("sig:sig:abc", "sig:[REDACTED]");
        check(r#"{"nkey": "sig":1}"#, r#"{"nkey": "[REDACTED]":1}"#);
        check("pass:pass:x", "pass:[REDACTED]");
        check(r#"{"pass":"sig":"x"}"#, r#"{"pass":"[REDACTED]":"x"}"#);
        check(
            r#"{"a":"b pass","c":"d e"}"#,
            r#"{"a":"b pass","c":"[REDACTED]"}"#,
        );
    }
}
