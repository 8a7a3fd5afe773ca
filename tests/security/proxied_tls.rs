//! The PROXY header in front of TLS, on both servers: the header comes in clear, the handshake behind it.
#![allow(clippy::disallowed_methods, reason = "a client on the real machine")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dunlin_tests::server::{Kind, Server};
use dunlin_tests::skip;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

const V1: &[u8] = b"PROXY TCP4 203.0.113.50 127.0.0.1 54321 4222\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x32\x7f\0\0\x01\xd4\x31\x10\x7e";
const CLAIMED: &str = r#""client_ip":"203.0.113.50""#;
const HELLO: &[u8] = b"CONNECT {\"verbose\":true,\"pedantic\":false,\"protocol\":1}\r\nPING\r\n";

/// A server with a certificate of its own, and what its clients trust.
struct Stage {
    server: Server,
    trust: Arc<ClientConfig>,
    _files: TempDir,
}

impl Stage {
    fn new(kind: Kind, more: &str, tls: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: String| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let certificate = file("cert.pem", made.cert.pem());
        let key = file("key.pem", made.signing_key.serialize_pem());
        let config = format!(
            "proxy_protocol: true\n{more}\ntls {{ cert_file: '{certificate}', key_file: '{key}', timeout: 5, {tls} }}\n"
        );
        let server = Server::start(kind, &config).unwrap_or_else(|error| panic!("{error}"));
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            server,
            trust: Arc::new(trust),
            _files: files,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        stream
    }

    fn secured(&self, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let name = "localhost".try_into().unwrap();
        StreamOwned::new(ClientConnection::new(self.trust.clone(), name).unwrap(), stream)
    }
}

/// Runs a test on both servers.
fn on_both(test: impl Fn(Kind)) {
    test(Kind::Dunlin);
    match Kind::Reference.program() {
        Ok(Some(_)) => test(Kind::Reference),
        _ => skip::report("the reference is not installed"),
    }
}

/// Reads the INFO that greets, without a byte more.
fn greeting(stream: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.last() != Some(&b'\n') {
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Logs in, and returns the INFO behind the first PONG.
fn log_in(mut stream: impl Read + Write) -> String {
    stream.write_all(HELLO).unwrap();
    stream.flush().unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "+OK");
    assert_eq!(next(), "PONG");
    next()
}

// CORE-92 [TestClientProxyProtoV1WithRequiredTLS, TestClientProxyProtoV2WithRequiredTLS]
#[test]
fn header_comes_before_a_required_handshake() {
    on_both(|kind| {
        let stage = Stage::new(kind, "", "");
        for header in [V1, V2] {
            let mut stream = stage.connect();
            stream.write_all(header).unwrap();
            let info = greeting(&mut stream);
            assert!(
                info.contains(r#""tls_required":true"#) && !info.contains("client_ip"),
                "{info}"
            );
            let info = log_in(stage.secured(stream));
            assert!(info.contains(CLAIMED), "{kind:?}: {info}");
        }
    });
}

// CORE-8, CORE-92 [TestClientProxyProtoV1WithAllowNonTLS, TestClientProxyProtoV2WithAllowNonTLS]
#[test]
fn first_byte_behind_the_header_tells_tls_from_plain() {
    on_both(|kind| {
        let stage = Stage::new(kind, "allow_non_tls: true", "");
        for header in [V1, V2] {
            let mut stream = stage.connect();
            stream.write_all(header).unwrap();
            greeting(&mut stream);
            let info = log_in(stage.secured(stream));
            assert!(info.contains(CLAIMED), "{kind:?}: {info}");

            let mut stream = stage.connect();
            stream.write_all(header).unwrap();
            let info = greeting(&mut stream);
            assert!(info.contains(r#""tls_available":true"#), "{info}");
            let info = log_in(stream);
            assert!(info.contains(CLAIMED), "{kind:?}: {info}");
        }
    });
}

// CORE-9, CORE-92 [TestClientProxyProtoNonProxiedTLSFirstFallback]
#[test]
fn client_without_a_header_may_begin_with_its_handshake() {
    on_both(|kind| {
        let stage = Stage::new(kind, "", "handshake_first: \"5s\"");
        let mut stream = stage.secured(stage.connect());
        let info = greeting(&mut stream);
        assert!(info.starts_with("INFO "), "{info}");
        let info = log_in(stream);
        assert!(info.contains(r#""client_ip":"127.0.0.1""#), "{kind:?}: {info}");
    });
}

// CORE-9, CORE-92
#[test]
fn header_in_front_of_a_handshake_that_comes_first() {
    on_both(|kind| {
        let stage = Stage::new(kind, "", "handshake_first: true");
        let mut stream = stage.connect();
        stream.write_all(V1).unwrap();
        let mut stream = stage.secured(stream);
        let info = greeting(&mut stream);
        assert!(info.contains(CLAIMED), "{kind:?}: {info}");
    });
}
