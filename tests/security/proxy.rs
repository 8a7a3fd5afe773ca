//! The PROXY header: who claims to be whom, and what the log says of it.

use super::{QUIET, Stage};
use crate::sim;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Lets a session that is over say so: its line comes just behind the end of the connection.
async fn settle(stage: &Stage) {
    stage.broker.env.sleep(std::time::Duration::from_millis(1)).await;
}

// [2026-33246, 2026-33223: an identity that is claimed] Without the option nobody claims an address.
#[test]
fn header_is_believed_only_where_it_is_asked_for() {
    sim::run(|| async {
        let stage = Stage::new("").await;
        let told = stage
            .end_of(b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\nPING\r\n")
            .await;
        assert!(
            !told.contains("PONG") && told.contains("Unknown Protocol Operation"),
            "{told}"
        );
    });
}

// CORE-88, CORE-92 [TestClientProxyProtoV1EndToEnd, TestProxyConnRemoteAddr]
#[test]
fn claimed_address_is_told_to_the_client_and_the_log_keeps_the_sockets() {
    sim::run(|| async {
        let stage = Stage::new("proxy_protocol: true\n").await;
        let mut client = stage.connect().await;
        let greeting = client.expect("\r\n").await;
        assert!(!greeting.contains("client_ip"), "{greeting}");
        client
            .send("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\nCONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n")
            .await;
        client.expect("PONG\r\n").await;
        let info = client.expect("\r\n").await;
        assert!(info.contains(r#""client_ip":"2001:db8::1""#), "{info}");
        client.send("NONSENSE\r\n").await;
        client.expect_end().await;
        settle(&stage).await;
        let lines = stage.lines.take();
        assert!(
            lines
                .iter()
                .any(|line| line == "PROXY protocol enabled for client connections")
        );
        let closed = lines
            .iter()
            .find(|line| line.contains("Client connection closed"));
        assert!(
            closed.is_some_and(|line| line.starts_with("10.0.0.2:")),
            "{closed:?}"
        );
    });
}

// CORE-91
#[test]
fn refused_header_is_told_in_one_line_with_its_sender() {
    sim::run(|| async {
        let stage = Stage::new("proxy_protocol: true\n").await;
        for (sent, told) in [
            (
                b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(),
                "invalid PROXY protocol header: invalid protocol UDP4",
            ),
            (
                b"PROXY \x1b[2J 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(),
                "invalid PROXY protocol header: invalid protocol \\u{1b}[2J",
            ),
            (
                b"PROXY TCP4 1.2.3.4 5.6.7.8 70000 2\r\n".to_vec(),
                "invalid source port: strconv.ParseUint: parsing \"70000\": value out of range",
            ),
            (
                [V2, b"\x21\x11\0\x04abcd"].concat(),
                "IPv4 address data too short: 4 bytes",
            ),
        ] {
            stage.lines.take();
            let mut client = stage.connect().await;
            client.expect("\r\n").await;
            client.try_send(&sent).await;
            assert_eq!(client.expect_end().await, "", "without a word");
            settle(&stage).await;
            stage.broker.env.sleep(std::time::Duration::from_millis(1)).await;
            let lines = stage.lines.take();
            let line = lines
                .iter()
                .find(|line| line.starts_with("Error reading PROXY"))
                .expect("a warning");
            let (_, rest) = line.split_once("from 10.0.0.2:").expect("the sender");
            assert!(rest.ends_with(&format!(": {told}")), "{line}");
            assert!(
                lines
                    .iter()
                    .any(|line| line.ends_with("Client connection closed: Protocol Violation")),
                "{lines:?}"
            );
        }
        stage.assert_whole(QUIET).await;
    });
}

// CORE-88
#[test]
fn who_says_nothing_or_half_a_header_is_closed_in_time() {
    sim::run(|| async {
        let stage = Stage::new("proxy_protocol: true\n").await;
        for (sent, seconds, told) in [
            ("", 5, "failed to read protocol version: EOF"),
            ("PRO", 10, "i/o timeout"),
            ("PROXY TCP4", 5, "i/o timeout"),
        ] {
            let begin = stage.broker.env.now();
            stage.end_of(sent.as_bytes()).await;
            let taken = (stage.broker.env.now() - begin).as_secs();
            assert_eq!(taken, seconds, "{sent:?}");
            let lines = stage.lines.take();
            assert!(
                lines
                    .iter()
                    .any(|line| line.starts_with("Error reading PROXY") && line.ends_with(told)),
                "{lines:?}"
            );
        }
    });
}

// CORE-7, CORE-92: the time to log in begins behind the header.
#[test]
fn waiting_for_a_header_does_not_shorten_the_time_to_log_in() {
    sim::run(|| async {
        let stage =
            Stage::new("proxy_protocol: true\nauthorization { user: u, password: u, timeout: 2 }\n").await;
        let mut client = stage.connect().await;
        client.expect("\r\n").await;
        stage.broker.env.sleep(std::time::Duration::from_secs(4)).await;
        client.send("PROXY UNKNOWN\r\n").await;
        stage
            .broker
            .env
            .sleep(std::time::Duration::from_millis(1900))
            .await;
        client
            .send(&format!("CONNECT {}\r\nPING\r\n", super::user("u")))
            .await;
        client.expect("PONG\r\n").await;
    });
}
