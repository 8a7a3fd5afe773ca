//! Brokers inside this process, and clients that reach them without a socket.

use std::io::{self, BufRead as _, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dunlin::config::Format;
use dunlin::{Builder, CloseReason, InProcessError, PipeStream, Server};
use dunlin_tests::{certificates, tls};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::sim::Lines;

type Client = BufReader<PipeStream>;

const PING: &str = "CONNECT {\"verbose\":false}\r\nPING\r\n";

async fn start(config: &str) -> Server {
    let builder = Builder::from_text(config, Format::NatsConf).expect("a valid configuration");
    builder.shards(1).start().await.expect("starts")
}

async fn connect(server: &Server) -> (Client, String) {
    let mut client = BufReader::new(server.connect_in_process().expect("connects"));
    let info = line(&mut client).await;
    (client, info)
}

async fn line(client: &mut Client) -> String {
    let mut line = String::new();
    client.read_line(&mut line).await.expect("a line");
    line.trim_end().to_owned()
}

async fn send(client: &mut Client, text: &str) {
    client.write_all(text.as_bytes()).await.expect("open");
}

async fn rest(client: &mut Client) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.expect("text");
    text
}

/// A client that has logged in and got its answer.
async fn logged_in(server: &Server) -> Client {
    let (mut client, _) = connect(server).await;
    send(&mut client, PING).await;
    assert_eq!(line(&mut client).await, "PONG");
    client
}

// CORE-14, CORE-22 [TestRemoteAddress]
#[tokio::test]
async fn a_client_of_the_process_is_a_connection_without_an_address() {
    let lines = Lines::default();
    let builder = Builder::from_text("listen: \"127.0.0.1:-1\", debug: true", Format::NatsConf).unwrap();
    let server = builder
        .shards(1)
        .log_to(Arc::new(lines.clone()))
        .start()
        .await
        .unwrap();
    let (mut client, info) = connect(&server).await;
    assert!(info.starts_with("INFO {"), "{info}");
    assert!(!info.contains("client_ip"), "{info}");
    send(&mut client, PING).await;
    assert_eq!(line(&mut client).await, "PONG");
    assert_eq!(server.connections().len(), 1);
    let lines = lines.take();
    let created = |line: &String| line.ends_with("pipe - cid:1 - Client connection created");
    assert!(lines.iter().any(created), "{lines:#?}");
    server.stop().await;
    assert_eq!(rest(&mut client).await, "");
}

// CORE-3: `max_connections` counts clients of the process, too.
#[tokio::test]
async fn a_client_of_the_process_is_limited_kicked_and_remembered_as_any_other() {
    let server = start("listen: \"127.0.0.1:-1\", max_connections: 1").await;
    let mut client = logged_in(&server).await;
    let (mut second, _) = connect(&server).await;
    assert_eq!(rest(&mut second).await, "-ERR 'maximum connections exceeded'\r\n");
    let id = server.connections()[0].id;
    server.kick(id).unwrap();
    assert_eq!(rest(&mut client).await, "");
    let reason = loop {
        let closed = server.closed_connections();
        if let Some(kicked) = closed.iter().find(|one| one.record.id == id) {
            break kicked.record.end.map(|(_, reason)| reason);
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(reason, Some(CloseReason::Kicked));
    assert!(server.connections().is_empty());
    server.stop().await;
}

// AUTH-18 [TestInProcessAllowedConnectionType]: configuration half.
#[tokio::test]
async fn a_user_of_listed_connection_types_needs_in_process() {
    for (listed, answer) in [
        ("IN_PROCESS", "PONG"),
        ("STANDARD", "-ERR 'Authorization Violation'"),
    ] {
        let server = start(&format!(
            "listen: \"127.0.0.1:-1\"
             accounts {{ A {{ users: [
               {{user: test, password: pwd, allowed_connection_types: [{listed}]}} ] }} }}"
        ))
        .await;
        let (mut client, _) = connect(&server).await;
        send(
            &mut client,
            "CONNECT {\"verbose\":false,\"user\":\"test\",\"pass\":\"pwd\"}\r\nPING\r\n",
        )
        .await;
        assert_eq!(line(&mut client).await, answer, "{listed}");
        server.stop().await;
    }
}

// CORE-80: nothing listens, and what a program publishes still arrives.
#[tokio::test]
async fn a_broker_without_a_client_port_serves_the_process() {
    let builder = Builder::default().without_client_port().shards(1);
    let server = builder.start().await.unwrap();
    assert_eq!(
        (server.endpoints(), server.client_port(), server.client_urls()),
        (vec![], None, vec![])
    );
    let mut subscriber = logged_in(&server).await;
    send(&mut subscriber, "SUB a 1\r\nPING\r\n").await;
    assert_eq!(line(&mut subscriber).await, "PONG");
    let mut publisher = logged_in(&server).await;
    // More than a pipe holds at once.
    let payload = "x".repeat(300_000);
    send(&mut publisher, &format!("PUB a 300000\r\n{payload}\r\n")).await;
    assert_eq!(line(&mut subscriber).await, "MSG a 1 300000");
    assert_eq!(line(&mut subscriber).await, payload);
    drop(publisher);
    while server.connections().len() > 1 {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

// CORE-84
#[tokio::test]
async fn a_lame_duck_takes_no_clients_of_the_process() {
    let server = Builder::default()
        .without_client_port()
        .shards(1)
        .start()
        .await
        .unwrap();
    server.lame_duck().await;
    let refused = server.connect_in_process().err();
    assert_eq!(refused, Some(InProcessError::LameDuck));
    server.stop().await;
}

#[tokio::test]
async fn two_brokers_of_one_process_share_nothing() {
    let config = "listen: \"127.0.0.1:-1\"";
    let (one, other) = (start(config).await, start(config).await);
    let address = |server: &Server| -> SocketAddr { server.endpoints()[0].1 };
    assert_ne!(address(&one), address(&other));
    let mut subscriber = logged_in(&one).await;
    send(&mut subscriber, "SUB a 1\r\nPING\r\n").await;
    assert_eq!(line(&mut subscriber).await, "PONG");
    let mut publisher = logged_in(&other).await;
    send(&mut publisher, "PUB a 1\r\nx\r\nPING\r\n").await;
    assert_eq!(line(&mut publisher).await, "PONG");
    other.stop().await;
    send(&mut subscriber, "PING\r\n").await;
    assert_eq!(line(&mut subscriber).await, "PONG");
    one.stop().await;
}

/// A client's stream for code that waits.
struct Waiting<'a>(&'a tokio::runtime::Runtime, PipeStream);

impl Read for Waiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.block_on(self.1.read(buffer))
    }
}

impl Write for Waiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.block_on(self.1.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects in clear, with TLS behind INFO and with TLS before it, and gives each INFO. Each client gets its answer.
fn infos(tls_options: &str) -> [String; 3] {
    let folder = tempfile::tempdir().unwrap();
    certificates::write(folder.path()).unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let config = format!(
        "listen: \"127.0.0.1:-1\"
         tls {{ cert_file: \"{}\", key_file: \"{}\", {tls_options} }}",
        file("server.pem"),
        file("server.key")
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let server = runtime.block_on(start(&config));
    let plain = runtime.block_on(async {
        let (mut client, info) = connect(&server).await;
        send(&mut client, PING).await;
        assert_eq!(line(&mut client).await, "PONG");
        info
    });
    let waiting = || Waiting(&runtime, server.connect_in_process().unwrap());
    let mut late = std::io::BufReader::new(waiting());
    let mut info = String::new();
    late.read_line(&mut info).unwrap();
    secured_ping(late.into_inner(), folder.path(), false);
    let first = if tls_options.contains("first") {
        secured_ping(waiting(), folder.path(), true)
    } else {
        String::new()
    };
    runtime.block_on(server.stop());
    [plain, info, first]
}

/// Gives the INFO that comes inside TLS, if one does.
fn secured_ping(stream: Waiting<'_>, folder: &Path, has_info: bool) -> String {
    let (stream, _) = tls::secure(stream, folder, &tls::Introduction::default()).unwrap();
    let mut stream = std::io::BufReader::new(stream);
    let mut info = String::new();
    if has_info {
        stream.read_line(&mut info).unwrap();
    }
    stream.get_mut().write_all(PING.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    assert_eq!(answer, "PONG\r\n");
    info
}

fn asks_for_tls(info: &str) -> (bool, bool) {
    let says = |key: &str| info.contains(&format!("\"{key}\":true"));
    (says("tls_required"), says("tls_available"))
}

// AUTH-302 [TestTLSInProcessConnection]
#[test]
fn tls_is_left_to_a_client_of_the_process() {
    let [plain, late, _] = infos("timeout: 2");
    assert_eq!(asks_for_tls(&plain), (false, true), "{plain}");
    assert_eq!(asks_for_tls(&late), (false, true), "{late}");
}

// CORE-9 [TestTLSClientHandshakeFirstAndInProcessConnection]
#[test]
fn tls_first_is_left_to_a_client_of_the_process() {
    let [plain, late, first] = infos("timeout: 2, handshake_first: true");
    assert_eq!(asks_for_tls(&plain), (false, true), "{plain}");
    assert_eq!(asks_for_tls(&late), (false, true), "{late}");
    assert_eq!(asks_for_tls(&first), (true, true), "{first}");
}

#[test]
fn a_wrong_configuration_is_named_by_line() {
    let error = Builder::from_text("port = 4222\nno_such_key = 1", Format::Toml).err();
    let text = error.expect("refused").to_string();
    assert!(text.contains("configuration:2:"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}
