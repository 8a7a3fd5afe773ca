//! `SIGHUP` and the files of a process: certificates, log, pid and ports files, users (CORE-133, CORE-134).
#![allow(clippy::disallowed_methods, reason = "a test reads the files of a process")]

use std::path::Path;
use std::time::Instant;

use dunlin_tests::certificates;
use dunlin_tests::connection::{Connection, Event};
use dunlin_tests::server::{Kind, Server};
use dunlin_tests::tls::Introduction;

use crate::host::server_with;
use crate::logged::PATIENCE;
use crate::process::{Broker, program, read};

/// Waits until the file has the text.
fn until(path: &Path, text: &str) {
    let start = Instant::now();
    while !std::fs::read_to_string(path).is_ok_and(|content| content.contains(text)) {
        assert!(
            start.elapsed() < PATIENCE,
            "{} never says {text:?}",
            path.display()
        );
        std::thread::yield_now();
    }
}

/// Puts another configuration in force, and waits until `text` is on standard error.
fn reload(broker: &mut Broker, config: &str, text: &str) {
    std::fs::write(broker.path("server.conf"), config).unwrap();
    broker.signal("reload");
    broker.until(text);
}

const DONE: &str = "[INF] Reloaded server configuration (sha256:";

fn secured(server: &Server) -> Result<Connection, String> {
    let mut client = Connection::open(server.address()).unwrap();
    assert!(matches!(client.read().unwrap(), Event::Frame(info) if info.verb() == b"INFO"));
    client.secure(server.folder(), &Introduction::default())?;
    client.send(b"CONNECT {\"verbose\":false}\r\n");
    assert_eq!(ping(&mut client), b"PONG\r\n");
    Ok(client)
}

fn ping(client: &mut Connection) -> Vec<u8> {
    client.send(b"PING\r\n");
    match client.read().unwrap() {
        Event::Frame(frame) => frame.bytes().to_vec(),
        Event::Closed(rest) => panic!("closed after {rest:?}"),
    }
}

fn exchanged_certificates(kind: Kind) {
    let config = "tls { cert_file: server.pem, key_file: server.key }";
    let Some(server) = server_with(kind, config) else {
        return;
    };
    let mut old = secured(&server).unwrap();
    // Another authority and another certificate under the same names.
    certificates::write(server.folder()).unwrap();
    assert!(secured(&server).is_err(), "the old certificate is still shown");
    server.reload(config).unwrap();
    let mut new = secured(&server).unwrap();
    for client in [&mut old, &mut new] {
        assert_eq!(ping(client), b"PONG\r\n");
    }
}

// CORE-134, AUTH-300 [TestConfigReloadRotateTLS]
#[test]
fn new_certificates_are_for_new_connections() {
    exchanged_certificates(Kind::Dunlin);
}

#[test]
fn new_certificates_are_for_new_connections_of_the_reference() {
    exchanged_certificates(Kind::Reference);
}

// CORE-134, CORE-139 [TestConfigReloadRotateFiles, TestConfigReloadLogging]
#[test]
fn a_log_goes_to_another_file() {
    let mut broker = Broker::start("");
    std::fs::write(broker.path("server.conf"), "log_file: first").unwrap();
    broker.signal("reload");
    let (first, second) = (broker.path("first"), broker.path("second"));
    until(&first, DONE);
    std::fs::write(broker.path("server.conf"), "log_file: second").unwrap();
    broker.signal("reload");
    until(&second, DONE);
    let text = read(&first);
    assert_eq!(text.matches(DONE).count(), 1, "{text}");
    // Back to where it began.
    reload(&mut broker, "", DONE);
    let text = read(&second);
    assert_eq!(text.matches(DONE).count(), 1, "{text}");
}

// CORE-134, CORE-135 [TestPortsFileReload, TestConfigReloadRotateFiles]
#[test]
fn pid_and_ports_files_move() {
    let mut broker = Broker::start("pid_file: pid");
    for name in ["a", "b"] {
        std::fs::create_dir(broker.path(name)).unwrap();
    }
    let name = program().file_name().unwrap().to_string_lossy().into_owned();
    let name = format!("{name}_{}.ports", broker.pid());
    let ports = |folder: &str, broker: &Broker| broker.path(folder).join(&name);
    reload(&mut broker, "pid_file: pid, ports_file_dir: a", DONE);
    let expected = format!("{{\"nats\":[\"nats://{}\"]}}", broker.address());
    assert_eq!(read(&ports("a", &broker)), expected);
    reload(&mut broker, "pid_file: other, ports_file_dir: b", DONE);
    assert_eq!(read(&ports("b", &broker)), expected);
    assert!(!ports("a", &broker).exists(), "it has moved");
    assert_eq!(read(&broker.path("other")), broker.pid().to_string());
    reload(&mut broker, "pid_file: other", DONE);
    assert!(!ports("b", &broker).exists());
}

// CORE-132, CORE-136 [TestSignalToReloadConfig]
#[test]
fn every_signal_reloads_once_more() {
    let users = |name: &str| format!("accounts {{ A {{ users: [ {{user: {name}, password: p}} ] }} }}");
    let server = Server::start(Kind::Dunlin, &users("a")).unwrap();
    let is_let_in = |name: &str| {
        let mut client = Connection::open(server.address()).unwrap();
        client.read().unwrap();
        client
            .send(format!("CONNECT {{\"verbose\":true,\"user\":\"{name}\",\"pass\":\"p\"}}\r\n").as_bytes());
        matches!(client.read().unwrap(), Event::Frame(frame) if frame.bytes() == b"+OK\r\n")
    };
    assert!(is_let_in("a"));
    for (before, name) in [("a", "a"), ("a", "b"), ("b", "c")] {
        let lines = server.reload(&users(name)).unwrap();
        assert!(
            lines.last().unwrap().contains("Reloaded server configuration"),
            "{lines:?}"
        );
        assert!(is_let_in(name));
        assert_eq!(is_let_in(before), before == name);
    }
}
