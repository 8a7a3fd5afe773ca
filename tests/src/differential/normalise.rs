//! What must differ between two servers, replaced: ids, keys, nonces, versions, ports, times.
//!
//! Everything else stays, the order and presence of the keys of INFO included.

use std::fmt;
use std::net::SocketAddr;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

/// Normalises what one server sends during one script.
#[derive(Debug)]
pub(super) struct Normaliser {
    port: u16,
    /// Connection ids in the order in which they were first seen.
    clients: Vec<u64>,
}

impl Normaliser {
    pub(super) fn new(address: SocketAddr) -> Normaliser {
        Normaliser {
            port: address.port(),
            clients: Vec::new(),
        }
    }

    /// A frame as a line of the transcript.
    pub(super) fn frame(&mut self, bytes: &[u8]) -> String {
        let mut text = match bytes.strip_suffix(b"\r\n") {
            Some(body) => escape(body),
            None => format!("{} (no CRLF)", escape(bytes)),
        };
        if let Some(info) = text.strip_prefix("INFO ") {
            text = format!("INFO {}", self.info(info));
        }
        let text = text.replace(&format!("127.0.0.1:{}", self.port), "127.0.0.1:<port>");
        replace_times(&replace_keys(&text))
    }

    /// A line of the log, from its level on: the addresses and ids of connections replaced.
    pub(super) fn log_line(&mut self, line: &str) -> String {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| {
                let id = word.strip_prefix("cid:").and_then(|id| id.parse().ok());
                match (id, word.strip_prefix("127.0.0.1:")) {
                    (Some(id), _) => format!("cid:<client {}>", self.client(id)),
                    (_, Some(_)) => "127.0.0.1:<port>".to_owned(),
                    _ => word.to_owned(),
                }
            })
            .collect();
        words.join(" ")
    }

    fn info(&mut self, text: &str) -> String {
        // The transcript shows whether the blank before CRLF is there.
        let json = text.strip_suffix(' ').unwrap_or(text);
        let end = if json.len() == text.len() {
            " (no blank at the end)"
        } else {
            " "
        };
        let Ok(Ordered(pairs)) = serde_json::from_str(json) else {
            return format!("{text} (not JSON)");
        };
        if compact(&pairs) != json {
            return format!("{text} (not compact)");
        }
        let id = pairs
            .iter()
            .find(|(key, _)| key == "server_id")
            .map(|(_, id)| id.clone());
        let shown: Vec<(String, Value)> = pairs
            .into_iter()
            .map(|(key, value)| {
                let value = self.value(&key, value, id.as_ref());
                (key, value)
            })
            .collect();
        format!("{}{end}", compact(&shown))
    }

    fn value(&mut self, key: &str, value: Value, id: Option<&Value>) -> Value {
        let shown = match (key, &value) {
            ("server_id", Value::String(id)) => format!("<id of {}>", id.len()),
            ("server_name", _) if Some(&value) == id => "<its id>".to_owned(),
            ("version" | "go" | "git_commit", Value::String(_)) => format!("<{key}>"),
            ("port", Value::Number(port)) if port.as_u64() == Some(u64::from(self.port)) => {
                "<port>".to_owned()
            }
            ("nonce", Value::String(nonce)) => format!("<nonce of {}>", nonce.len()),
            ("client_id", Value::Number(id)) => match id.as_u64() {
                Some(id) => format!("<client {}>", self.client(id)),
                None => return value,
            },
            _ => return value,
        };
        Value::String(shown)
    }

    fn client(&mut self, id: u64) -> usize {
        if let Some(index) = self.clients.iter().position(|known| *known == id) {
            return index + 1;
        }
        self.clients.push(id);
        self.clients.len()
    }
}

/// A JSON object whose keys keep their order.
struct Ordered(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Ordered;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Ordered(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

fn compact(pairs: &[(String, Value)]) -> String {
    let inner: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::String(key.clone())))
        .collect();
    format!("{{{}}}", inner.join(","))
}

/// Bytes as text on one line, in the escapes of scripts.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\\' => text.push_str("\\\\"),
                _ if character.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(character))),
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Public keys: 56 characters of base 32, the first of which tells the kind.
fn replace_keys(text: &str) -> String {
    let is_key = |run: &str| {
        run.len() == 56
            && run.starts_with(['N', 'X', 'A', 'U', 'O', 'C'])
            && run
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte))
    };
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let run = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match (is_key(run), run.chars().next()) {
            (true, Some(kind)) => {
                shown.push_str(&format!("<key {kind}>"));
                shown.push_str(part.get(run.len()..).unwrap_or_default());
            }
            _ => shown.push_str(part),
        }
    }
    shown
}

/// Times in the form of RFC 3339, such as those of events.
fn replace_times(text: &str) -> String {
    const SHAPE: &str = "dddd-dd-ddTdd:dd:dd";
    let begins_time = |rest: &str| {
        rest.len() >= SHAPE.len()
            && SHAPE.bytes().zip(rest.bytes()).all(|(shape, byte)| {
                if shape == b'd' {
                    byte.is_ascii_digit()
                } else {
                    byte == shape
                }
            })
    };
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if begins_time(rest) {
            shown.push_str("<time>");
            let after = rest.get(SHAPE.len()..).unwrap_or_default();
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == 'Z');
        } else {
            shown.push(character);
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8]) -> String {
        Normaliser::new(SocketAddr::from(([127, 0, 0, 1], 4000))).frame(bytes)
    }

    #[test]
    fn info_keeps_its_keys_and_their_order() {
        assert_eq!(
            frame(b"INFO {\"server_id\":\"NA\",\"server_name\":\"NA\",\"port\":4000,\"client_id\":7,\"headers\":true} \r\n"),
            r#"INFO {"server_id":"<id of 2>","server_name":"<its id>","port":"<port>","client_id":"<client 1>","headers":true} "#
        );
        assert_eq!(frame(b"INFO {}\r\n"), "INFO {} (no blank at the end)");
        assert_eq!(frame(b"INFO {\"a\": 1} \r\n"), "INFO {\"a\": 1}  (not compact)");
    }

    #[test]
    fn name_of_its_own_is_shown() {
        assert_eq!(
            frame(b"INFO {\"server_id\":\"NA\",\"server_name\":\"s\"} \r\n"),
            r#"INFO {"server_id":"<id of 2>","server_name":"s"} "#
        );
    }

    #[test]
    fn line_ends_and_odd_bytes_are_shown() {
        assert_eq!(frame(b"MSG a 1 2\r\n\xff\0\r\n"), "MSG a 1 2\\r\\n\\xff\\x00");
        assert_eq!(frame(b"PONG\n"), "PONG\\n (no CRLF)");
    }

    #[test]
    fn keys_and_times_are_replaced() {
        let key = format!("N{}", "A".repeat(55));
        assert_eq!(
            frame(format!("x {key}.y 2026-11-24T10:00:00.123Z, 127.0.0.1:4000\r\n").as_bytes()),
            "x <key N>.y <time>, 127.0.0.1:<port>"
        );
    }
}
