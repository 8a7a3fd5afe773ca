//! Crafted input before login: nobody else notices, and nothing of it is kept.
#![allow(clippy::disallowed_methods, reason = "a test bends the files of certificates")]

use dunlin_fuzz::{Corpus, Mutator, tokens};
use dunlin_tests::connection::{Connection, Event};
use dunlin_tests::server::{Kind, Server};
use dunlin_tests::tls::{self, Introduction};

use super::{QUIET, Stage, user};
use crate::sim::{self, Client};

const LOGIN: &str = "authorization { users: [{user: u, password: u}] }\n";

/// Bytes that a peer before login may cost.
const BUDGET: u64 = 64 * 1024;

/// Handshakes and operations, whole and torn, mutated from a seed.
async fn storm(config: &str, good: &str) {
    let stage = Stage::new(config).await;
    let (protocol, connect) = (
        Corpus::load("protocol").unwrap(),
        Corpus::load("connect").unwrap(),
    );
    let mut inputs = protocol.inputs;
    for json in connect.inputs {
        inputs.push([b"CONNECT ", json.as_slice(), b"\r\nPING\r\n"].concat());
    }
    inputs.extend(Corpus::load("proxy").unwrap().inputs);
    let tokens = [tokens("protocol").unwrap(), tokens("connect").unwrap()].concat();
    let mut mutator = Mutator::new(3, &inputs, &tokens);
    for _ in 0..500 {
        let mut client = stage.connect().await;
        client.expect("\r\n").await;
        client.try_send(&mutator.make()).await;
        client.leave();
        client.expect_end().await;
    }
    stage.assert_whole(good).await;
}

// [2026-29785, 2026-33218, 2026-19, 2026-27889: handshakes of other listeners]
#[test]
fn mutated_handshakes_end_nothing_but_themselves() {
    sim::run(|| async { storm(LOGIN, &user("u")).await });
    sim::run(|| storm("", QUIET));
    sim::run(|| storm("proxy_protocol: true\n", QUIET));
}

const CERTIFIED: &str = "tls { cert_file: server.pem, key_file: server.key, ca_file: ca.pem, verify: true,
    handshake_first: true, timeout: 0.1 }";

/// Whether a client with that certificate is served.
fn is_served(server: &Server, certificate: &str) -> bool {
    let mut client = Connection::open(server.address()).unwrap();
    let introduction = Introduction {
        certificate: Some(certificate.to_owned()),
        is_old: false,
    };
    if client.secure(server.folder(), &introduction).is_err() {
        return false;
    }
    client.send(b"PING\r\n");
    matches!(client.read().unwrap(), Event::Frame(_))
}

// The first words of a handshake, and the certificate that a client shows, in any shape [FuzzServerTLS]
#[test]
fn mutated_tls_handshakes_end_nothing_but_themselves() {
    let server = Server::start(Kind::Dunlin, CERTIFIED).unwrap();
    let hellos: Vec<_> = [false, true]
        .map(|is_old| Introduction {
            certificate: None,
            is_old,
        })
        .iter()
        .map(|introduction| tls::hello(server.folder(), introduction).unwrap())
        .collect();
    let mut mutator = Mutator::new(5, &hellos, &[]);
    for _ in 0..60 {
        let mut client = Connection::open(server.address()).unwrap();
        client.send(&mutator.make());
        while matches!(client.read().unwrap(), Event::Frame(_)) {}
    }
    let certificate = std::fs::read_to_string(server.folder().join("named.pem")).unwrap();
    let key = server.folder().join("named.key");
    std::fs::copy(key, server.folder().join("bent.key")).unwrap();
    let lines: Vec<_> = certificate.lines().collect();
    for number in 1..lines.len() - 1 {
        let mut bent: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        let other = if bent[number].starts_with('A') { "B" } else { "A" };
        bent[number].replace_range(..1, other);
        std::fs::write(server.folder().join("bent.pem"), bent.join("\n")).unwrap();
        assert!(!is_served(&server, "bent"), "line {number}");
    }
    assert!(is_served(&server, "named"));
    assert!(!server.log().contains("panic"), "{}", server.log());
}

// [2026-23: a short key in a JWT]
#[test]
fn credentials_of_every_length_are_refused_in_words() {
    sim::run(|| async {
        let stage = Stage::new(LOGIN).await;
        for key in ["nkey", "sig", "jwt", "auth_token", "pass", "proxy_sig"] {
            for len in [0, 1, 2, 31, 32, 33, 55, 56, 57, 63, 64, 65, 88, 3000] {
                let json = format!(r#"{{"user":"u","{key}":"{}"}}"#, "U".repeat(len));
                let told = stage.end_of(format!("CONNECT {json}\r\n").as_bytes()).await;
                assert!(
                    told.ends_with("-ERR 'Authorization Violation'\r\n"),
                    "{key} of {len}: {told}"
                );
            }
        }
        stage.assert_whole(&user("u")).await;
    });
}

/// Most heap bytes that a run with so many hostile peers holds, both ends of their simulated connections included.
fn peak(config: &str, bytes: &[u8], peers: usize) -> u64 {
    let run = || {
        sim::run(|| async {
            let stage = Stage::new(config).await;
            let mut crowd: Vec<Client> = Vec::new();
            for _ in 0..peers {
                let peer = stage.connect().await;
                // What is on its way is the network's: in pieces, each read before the next is sent.
                for piece in bytes.chunks(1024) {
                    peer.try_send(piece).await;
                    stage
                        .broker
                        .env
                        .sleep(std::time::Duration::from_micros(100))
                        .await;
                }
                crowd.push(peer);
            }
            stage.assert_whole(&user("u")).await;
        });
    };
    allocation_counter::measure(run).bytes_max
}

// [2026-25, 2026-27571, 2026-33219, mosquitto 2023-0809: memory before login]
#[test]
fn peer_before_login_costs_less_than_its_budget() {
    const PEERS: usize = 200;
    let half = [b"CONNECT {\"user\":\"".as_slice(), &[b'x'; 4000]].concat();
    let tall = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice(),
        &[b'x'; 60_000],
    ]
    .concat();
    let proxied = format!("proxy_protocol: true\n{LOGIN}");
    for (what, config, bytes) in [
        ("silent", LOGIN, b"".as_slice()),
        ("half a CONNECT", LOGIN, half.as_slice()),
        ("a payload announced", "", b"PUB foo 1048576\r\n"),
        (
            "headers announced",
            "",
            b"CONNECT {\"headers\":true}\r\nHPUB foo 1048576 1048576\r\nNATS/1.0",
        ),
        ("half a PROXY line", proxied.as_str(), b"PROXY TCP4 1.2.3.4"),
        ("a long PROXY header", proxied.as_str(), tall.as_slice()),
    ] {
        let cost = (peak(config, bytes, PEERS) - peak(config, b"", 0)) / PEERS as u64;
        assert!(cost < BUDGET, "{what}: {cost} bytes each");
    }
}

// [2026-25]: who does not log in gives way, who does is not disturbed.
#[test]
fn flood_of_silent_connections_closes_its_own() {
    sim::run(|| async {
        let stage = Stage::new(&format!("max_pending_logins: 10\n{LOGIN}")).await;
        let good = stage.log_in(&user("u")).await;
        let mut silent = Vec::new();
        for _ in 0..25 {
            silent.push(stage.connect().await);
        }
        let mut newcomer = stage.log_in(&user("u")).await;
        newcomer.send("SUB foo 1\r\nPING\r\n").await;
        newcomer.expect("PONG\r\n").await;
        good.send("PUB foo 2\r\nhi\r\n").await;
        newcomer.expect("MSG foo 1 2\r\nhi\r\n").await;
        // The newcomer took a place for a moment, too.
        for (number, client) in silent.iter_mut().take(16).enumerate() {
            let told = client.expect_end().await;
            assert!(
                !told.contains("Timeout"),
                "{number} was closed before its time was up: {told}"
            );
        }
        let told: Vec<_> = stage.lines.take();
        let warned = told
            .iter()
            .filter(|line| line.contains("waited longest for their login"))
            .count();
        assert_eq!(warned, 1, "once a second");
    });
}

// [2026-25]: an unfinished login ends when its time is up.
#[test]
fn slow_drip_does_not_lengthen_the_time_to_log_in() {
    sim::run(|| async {
        let stage = Stage::new(LOGIN).await;
        let begin = stage.broker.env.now();
        let client = stage.connect().await;
        for byte in b"CONNECT {".iter().cycle() {
            if !client.try_send(&[*byte]).await {
                break;
            }
            stage
                .broker
                .env
                .sleep(std::time::Duration::from_millis(100))
                .await;
        }
        let taken = stage.broker.env.now() - begin;
        assert!(taken.as_millis() < 2500, "{taken:?}");
    });
}

// Line, header and payload that lie about their size, each just above what is allowed.
#[test]
fn sizes_beyond_their_limits_end_the_connection_when_they_are_announced() {
    sim::run(|| async {
        let stage = Stage::new("max_payload: 1000\nmax_control_line: 100\n").await;
        for (sent, told) in [
            (
                format!("SUB {} 1\r\n", "x".repeat(100)),
                "maximum control line exceeded",
            ),
            ("x".repeat(5000), ""),
            (
                format!("CONNECT {}", " ".repeat(5000)),
                "maximum control line exceeded",
            ),
            ("PUB foo 1001\r\n".to_owned(), "Maximum Payload Violation"),
            ("PUB foo 99999999999999999999\r\n".to_owned(), ""),
            ("PUB foo -1\r\n".to_owned(), ""),
            ("CONNECT {\"headers\":true}\r\nHPUB foo 20 10\r\n".to_owned(), ""),
            ("CONNECT {\"headers\":true}\r\nHPUB foo -1 10\r\n".to_owned(), ""),
        ] {
            let end = stage.end_of(sent.as_bytes()).await;
            assert!(end.contains(told), "{sent:?}: {end}");
        }
        stage.assert_whole(QUIET).await;
    });
}
