//! What a stranger writes never becomes a line of somebody else's protocol, or of the log.

use dunlin_fuzz::Mutator;
use dunlin_tests::connection::{Connection, Event};
use dunlin_tests::server::{Kind, Server};

use super::{QUIET, Stage};
use crate::sim;

/// Words with what ends a line, a word or a text.
const HOSTILE: &[&str] = &[
    "a\rb",
    "a\r",
    "\ra",
    "a\u{b}b",
    "a\u{c}b",
    "a'b",
    "a\"b",
    "a\\b",
    "a\u{0}b",
    "\u{85}",
    "\u{2028}",
    "a\u{1b}[2Jb",
];

// [2026-22: line ends in a filter become route protocol]
#[test]
fn names_with_line_ends_inside_stay_one_word() {
    sim::run(|| async {
        let stage = Stage::new("").await;
        for word in HOSTILE {
            let mut receiver = stage.log_in(QUIET).await;
            receiver.send("SUB > 1\r\n").await;
            receiver.sync().await;
            let mut publisher = stage.log_in(QUIET).await;
            publisher
                .send(&format!("PUB s{word} r{word} 2\r\nhi\r\nPING\r\n"))
                .await;
            publisher.expect("PONG\r\n").await;
            let got = receiver.sync().await;
            assert_eq!(got, format!("MSG s{word} 1 r{word} 2\r\nhi\r\n"));
        }
    });
}

// [2026-22] Headers and payload are counted bytes: a line end in them ends nothing.
#[test]
fn frames_inside_a_message_are_its_content() {
    sim::run(|| async {
        let stage = Stage::new("").await;
        let json = r#"{"verbose":false,"pedantic":false,"headers":true}"#;
        let mut receiver = stage.log_in(json).await;
        receiver.send("SUB foo 1\r\n").await;
        receiver.sync().await;
        let mut publisher = stage.log_in(json).await;
        let inner = "\r\nMSG foo 1 2\r\nno\r\n-ERR 'x'\r\nPING\r\n";
        let head = format!("NATS/1.0\r\na: {inner}\r\n\r\n");
        let (header, total) = (head.len(), head.len() + inner.len());
        publisher
            .send(&format!("HPUB foo {header} {total}\r\n{head}{inner}\r\n"))
            .await;
        publisher.sync().await;
        let got = receiver.sync().await;
        assert_eq!(got, format!("HMSG foo 1 {header} {total}\r\n{head}{inner}\r\n"));
    });
}

// [2026-22] An error repeats what was sent; it is one line all the same.
#[test]
fn error_that_quotes_a_client_is_one_line() {
    sim::run(|| async {
        let stage = Stage::new(
            "authorization { users: [{user: u, password: u, permissions: {publish: ok, subscribe: ok}}] }\n",
        )
        .await;
        for word in HOSTILE {
            for line in [
                format!("PUB {word} 0\r\n\r\n"),
                format!("SUB {word} 1\r\n"),
                format!("SUB ok{word} {word} 1\r\n"),
            ] {
                let client = stage.log_in(&super::user("u")).await;
                client.try_send(format!("{line}NONSENSE\r\n").as_bytes()).await;
                let mut client = client;
                let told = client.expect_end().await;
                let mut lines = told.split_inclusive('\n');
                assert!(
                    lines.all(|line| line.starts_with("-ERR '") && line.ends_with("'\r\n")),
                    "{told:?}"
                );
            }
        }
    });
}

// [2026-22] Log lines hold what strangers say, and stay lines that steer no terminal.
#[test]
fn log_lines_cannot_be_forged() {
    let config = "debug: true\ntrace: true\nauthorization { users: [{user: u, password: u}] }\n";
    let server = Server::start(Kind::Dunlin, config).unwrap_or_else(|error| panic!("{error}"));
    let end_of = |bytes: &str| {
        let mut connection = Connection::open(server.address()).unwrap();
        connection.send(bytes.as_bytes());
        while let Event::Frame(_) = connection.read().unwrap() {}
    };
    let forged = r"x\n[1] 2026/01/01 00:00:00.000000 [INF] forged\r\u001b[2J";
    for key in ["user", "name", "lang", "version", "nkey", "account"] {
        let wrong = format!(r#"{{"user":"u","pass":"wrong","{key}":"{forged}"}}"#);
        end_of(&format!("CONNECT {wrong}\r\n"));
        let right = format!(r#"{{"verbose":false,"{key}":"{forged}","user":"u","pass":"u"}}"#);
        end_of(&format!(
            "CONNECT {right}\r\nPUB a\rb\x1b[2J 0\r\n\r\n-ERR 'a\x1b[2J'\r\n"
        ));
    }
    end_of("PR\nOXY\x1b[2J x\r\n");
    end_of("CONNECT {\"user\":\"u\",\"pass\":\"u\"}\r\nG\x1b[2J\r\n");
    let log = server.log();
    assert!(log.contains("forged"), "{log}");
    for line in log.lines() {
        assert!(line.starts_with(&format!("[{}] ", server.pid())), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

// [2026-22] Whatever one client sends, another sees whole frames only.
#[test]
fn random_traffic_of_one_client_reaches_others_as_whole_frames() {
    sim::run(|| async {
        let stage = Stage::new("").await;
        let mut receiver = stage.log_in(QUIET).await;
        receiver.send("SUB > 77\r\n").await;
        receiver.sync().await;
        let inputs: Vec<Vec<u8>> = [
            "PUB foo 5\r\nhello\r\n",
            "PUB a.b r 0\r\n\r\n",
            "HPUB foo 12 17\r\nNATS/1.0\r\n\r\nhello\r\n",
            "SUB foo 1\r\n",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into();
        let tokens: Vec<Vec<u8>> = ["\r\n", "\r", "PUB ", "MSG x 77 2\r\n", " ", "\t", "0"]
            .map(|text| text.as_bytes().to_vec())
            .into();
        let mut mutator = Mutator::new(5, &inputs, &tokens);
        for _ in 0..500 {
            let mut sender = stage.log_in(r#"{"verbose":false,"headers":true}"#).await;
            sender.try_send(&mutator.make()).await;
            sender.leave();
            sender.expect_end().await;
        }
        let got = receiver.sync().await;
        assert!(got.len() > 1000, "something got through");
        let mut rest = got.as_bytes();
        while !rest.is_empty() {
            rest = whole_message(rest)
                .unwrap_or_else(|| panic!("not a whole MSG: {:?}", rest.escape_ascii().to_string()));
        }
    });
}

/// What stands behind the first message, which must be one of subscription 77. The text was made of bytes that may
/// not have been UTF-8, so lengths are those of the replacement: the mutations keep to ASCII but for single bits.
fn whole_message(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    if words[0] != "MSG" || words.get(2) != Some(&"77") {
        return None;
    }
    let size: usize = words.last()?.parse().ok()?;
    let payload = &bytes[end + 2..];
    payload.get(size..)?.strip_prefix(b"\r\n")
}
