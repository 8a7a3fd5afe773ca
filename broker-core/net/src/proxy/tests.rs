use std::net::Ipv4Addr;
use std::time::Duration;

use dunlin_api::{ByteStream, Logger, Network};
use proptest::prelude::*;

use super::*;
use crate::sim::{SimWorld, sim_env};
use crate::test_streams::write_all;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2: version and command, family and transport, and what the length counts.
fn v2(version_command: u8, family_transport: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [V2, &[version_command, family_transport], &length, block].concat()
}

fn ipv4_block() -> Vec<u8> {
    [&[192, 0, 2, 1, 198, 51, 100, 2][..], &[0x1f, 0x90, 0x10, 0x7e]].concat()
}

fn ipv6_block() -> Vec<u8> {
    let ip = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    [
        &ip("2001:db8::1")[..],
        &ip("2001:db8::2"),
        &[0x1f, 0x90, 0x10, 0x7e],
    ]
    .concat()
}

/// What a header gives, fed whole and byte by byte; with what is left of the input.
fn decode(input: &[u8]) -> Result<(Option<Header>, String), String> {
    let whole = feed(input, input.len().max(1));
    assert_eq!(
        whole,
        feed(input, 1),
        "cut into single bytes, it means the same: {input:?}"
    );
    whole
}

fn feed(input: &[u8], step: usize) -> Result<(Option<Header>, String), String> {
    let mut decoder = Decoder::default();
    let mut taken = 0;
    for part in input.chunks(step) {
        let mut rest = part;
        let header = decoder.decode(&mut rest).map_err(|error| error.to_string())?;
        taken += part.len() - rest.len();
        if header.is_some() {
            let mut left = decoder.replay();
            left.extend_from_slice(&input[taken..]);
            return Ok((header, String::from_utf8_lossy(&left).into_owned()));
        }
    }
    Ok((None, String::new()))
}

fn proxied(source: &str, destination: &str) -> Header {
    Header::Proxied {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

#[track_caller]
fn check(input: impl AsRef<[u8]>, header: Header, rest: &str) {
    assert_eq!(decode(input.as_ref()), Ok((Some(header), rest.to_owned())));
}

#[track_caller]
fn check_error(input: impl AsRef<[u8]>, error: &str) {
    assert_eq!(decode(input.as_ref()), Err(error.to_owned()));
}

// CORE-90 [TestClientProxyProtoV2ParseIPv4]
#[test]
fn v2_names_an_ipv4_client() {
    check(
        v2(0x21, 0x11, &ipv4_block()),
        proxied("192.0.2.1:8080", "198.51.100.2:4222"),
        "",
    );
}

// CORE-90 [TestClientProxyProtoV2ParseIPv6]
#[test]
fn v2_names_an_ipv6_client() {
    check(
        v2(0x21, 0x21, &ipv6_block()),
        proxied("[2001:db8::1]:8080", "[2001:db8::2]:4222"),
        "",
    );
}

// CORE-90 [TestClientProxyProtoV2ParseLocalCommand]
#[test]
fn v2_local_keeps_the_socket_address_whatever_follows() {
    check(v2(0x20, 0x00, b""), Header::Local, "");
    let mut input = v2(0x20, 0xff, &ipv4_block());
    input.extend_from_slice(b"PING\r\n");
    check(input, Header::Local, "PING\r\n");
}

// CORE-90
#[test]
fn v2_of_no_family_keeps_the_socket_address() {
    check(v2(0x21, 0x01, b"whatever"), Header::Local, "");
}

// CORE-90
#[test]
fn v2_extensions_are_skipped() {
    for len in [1, 300, 65_000] {
        let mut block = ipv4_block();
        block.resize(block.len() + len, b'x');
        let mut input = v2(0x21, 0x11, &block);
        input.extend_from_slice(b"PING\r\n");
        check(input, proxied("192.0.2.1:8080", "198.51.100.2:4222"), "PING\r\n");
    }
}

// CORE-91 [TestClientProxyProtoV2InvalidSignature]
#[test]
fn v2_with_another_signature_is_refused() {
    check_error(
        b"\r\n\r\n\0\rNOQUIT\x21\x11\0\x0c",
        "invalid PROXY protocol header: invalid signature",
    );
}

// CORE-91 [TestClientProxyProtoV2InvalidVersion]
#[test]
fn v2_of_another_version_is_refused() {
    check_error(
        v2(0x11, 0x11, &ipv4_block()),
        "invalid PROXY protocol header: invalid version 0x10",
    );
}

// CORE-91
#[test]
fn v2_of_another_command_is_refused() {
    check_error(
        v2(0x22, 0x11, &ipv4_block()),
        "unknown PROXY protocol command: 0x02",
    );
}

// CORE-91 [TestClientProxyProtoV2UnsupportedFamily]
#[test]
fn v2_of_a_unix_socket_is_refused() {
    check_error(
        v2(0x21, 0x31, &[0; 216]),
        "unsupported PROXY protocol feature: unsupported address family 0x30",
    );
}

// CORE-90, CORE-91 [TestClientProxyProtoV2UnsupportedProtocol]
#[test]
fn v2_of_datagrams_or_no_transport_is_refused_before_its_family_is_looked_at() {
    for family_transport in [0x12, 0x10, 0x00, 0x30] {
        check_error(
            v2(0x21, family_transport, &ipv4_block()),
            "unsupported PROXY protocol feature: only STREAM protocol supported",
        );
    }
}

// CORE-91 [TestClientProxyProtoV2ShortAddressData]
#[test]
fn v2_announcing_too_few_bytes_is_refused_before_they_come() {
    check_error(
        [V2, b"\x21\x11\0\x0b"].concat(),
        "IPv4 address data too short: 11 bytes",
    );
    check_error(
        [V2, b"\x21\x21\0\x23"].concat(),
        "IPv6 address data too short: 35 bytes",
    );
}

// CORE-91 [TestClientProxyProtoV2TruncatedHeader, TestClientProxyProtoV2ShortAddressData]
#[test]
fn header_that_ends_early_is_told_by_its_part() {
    let whole = v2(0x21, 0x11, &[&ipv4_block()[..], b"more"].concat());
    for (len, error) in [
        (0, "failed to read protocol version: EOF"),
        (5, "failed to read protocol version: unexpected EOF"),
        (6, "failed to read v2 signature: EOF"),
        (11, "failed to read v2 signature: unexpected EOF"),
        (12, "failed to read v2 header: EOF"),
        (15, "failed to read v2 header: unexpected EOF"),
        (16, "failed to read IPv4 address data: EOF"),
        (27, "failed to read IPv4 address data: unexpected EOF"),
        (29, "failed to read IPv4 address data: unexpected EOF"),
    ] {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&mut &whole[..len]), Ok(None));
        assert_eq!(decoder.cut_short().to_string(), error, "{len}");
    }
    for (input, error) in [
        (b"PROXY TCP4 1".to_vec(), "failed to read v1 line: EOF"),
        (
            v2(0x20, 0, b"xx")[..17].to_vec(),
            "failed to discard LOCAL command address data: EOF",
        ),
        (
            v2(0x21, 1, b"xx")[..17].to_vec(),
            "failed to discard UNSPEC address address data: EOF",
        ),
    ] {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&mut input.as_slice()), Ok(None));
        assert_eq!(decoder.cut_short().to_string(), error);
    }
}

// CORE-89 [TestClientProxyProtoV1ParseTCP4]
#[test]
fn v1_names_an_ipv4_client() {
    let header = proxied("192.168.1.50:54321", "10.0.0.1:4222");
    check("PROXY TCP4 192.168.1.50 10.0.0.1 54321 4222\r\n", header, "");
    check(
        "PROXY \t TCP4\n192.168.1.50 10.0.0.1  54321 4222 \r\n",
        header,
        "",
    );
}

// CORE-89 [TestClientProxyProtoV1ParseTCP6]
#[test]
fn v1_names_an_ipv6_client() {
    check(
        "PROXY TCP6 2001:db8::1 2001:db8::2 54321 4222\r\n",
        proxied("[2001:db8::1]:54321", "[2001:db8::2]:4222"),
        "",
    );
}

// CORE-89 [TestClientProxyProtoV1ParseTCP6IPv4Mapped]
#[test]
fn v1_takes_mapped_addresses_in_tcp6() {
    check(
        "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 12345 4222\r\n",
        proxied("192.0.2.1:12345", "198.51.100.1:4222"),
        "",
    );
}

// CORE-89 [TestClientProxyProtoV1ParseUnknown]
#[test]
fn v1_unknown_keeps_the_socket_address() {
    check("PROXY UNKNOWN\r\n", Header::Local, "");
    check("PROXY UNKNOWN whatever it says\r\n", Header::Local, "");
}

// CORE-89 [TestClientProxyProtoV1PreservesCoalescedClientBytes]
#[test]
fn v1_gives_back_what_follows_its_line() {
    check(
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nCONNECT {}\r\nPING\r\n",
        proxied("1.2.3.4:1", "5.6.7.8:2"),
        "CONNECT {}\r\nPING\r\n",
    );
}

// CORE-91 [TestClientProxyProtoV1InvalidFormat]
#[test]
fn v1_of_other_than_five_words_is_refused() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
    ] {
        check_error(line, "invalid PROXY protocol header: invalid v1 format");
    }
}

// CORE-89 [TestClientProxyProtoV1LineTooLong]
#[test]
fn v1_takes_107_bytes_with_its_line_end_and_no_more() {
    let line = |len: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(len - 16));
    check(line(107), Header::Local, "");
    check_error(line(108), "invalid PROXY protocol header: v1 line too long");
}

// CORE-91 [TestClientProxyProtoV1InvalidIP]
#[test]
fn v1_with_words_for_addresses_is_refused() {
    for (source, destination) in [
        ("not.an.ip.addr", "10.0.0.1"),
        ("10.0.0.1", "01.2.3.4"),
        ("10.0.0.1", "fe80::1%eth0"),
    ] {
        check_error(
            format!("PROXY TCP4 {source} {destination} 1 2\r\n"),
            "invalid PROXY protocol header: invalid address",
        );
    }
}

// CORE-89 [TestClientProxyProtoV1MismatchedProtocol, TestClientProxyProtoV1MismatchedDestProtocol]
#[test]
fn v1_with_addresses_of_the_other_family_is_refused() {
    for line in [
        "PROXY TCP4 2001:db8::1 10.0.0.1 1 2\r\n",
        "PROXY TCP4 10.0.0.1 2001:db8::1 1 2\r\n",
        "PROXY TCP4 ::ffff:10.0.0.1 ::ffff:10.0.0.2 1 2\r\n",
    ] {
        check_error(line, "invalid PROXY protocol header: TCP4 with IPv6 address");
    }
    for line in [
        "PROXY TCP6 10.0.0.1 2001:db8::1 1 2\r\n",
        "PROXY TCP6 2001:db8::1 10.0.0.1 1 2\r\n",
    ] {
        check_error(line, "invalid PROXY protocol header: TCP6 with IPv4 address");
    }
}

// CORE-91
#[test]
fn v1_of_another_protocol_is_refused_and_cannot_write_into_the_log() {
    check_error(
        "PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n",
        "invalid PROXY protocol header: invalid protocol UDP4",
    );
    check_error(
        "PROXY T\x1b[2J 10.0.0.1 10.0.0.2 1 2\r\n",
        "invalid PROXY protocol header: invalid protocol T\\u{1b}[2J",
    );
}

// CORE-89, CORE-91 [TestClientProxyProtoV1InvalidPort]
#[test]
fn v1_with_a_port_beyond_16_bits_is_refused() {
    let line =
        |source: &str, destination: &str| format!("PROXY TCP4 1.2.3.4 5.6.7.8 {source} {destination}\r\n");
    check(line("0", "65535"), proxied("1.2.3.4:0", "5.6.7.8:65535"), "");
    for (source, destination, error) in [
        (
            "99999",
            "1",
            "invalid source port: strconv.ParseUint: parsing \"99999\": value out of range",
        ),
        (
            "65536x",
            "1",
            "invalid source port: strconv.ParseUint: parsing \"65536x\": value out of range",
        ),
        (
            "+1",
            "1",
            "invalid source port: strconv.ParseUint: parsing \"+1\": invalid syntax",
        ),
        (
            "1",
            "x",
            "invalid dest port: strconv.ParseUint: parsing \"x\": invalid syntax",
        ),
    ] {
        check_error(line(source, destination), error);
    }
}

// CORE-88 [TestClientProxyProtoVersionDetection, TestClientProxyProtoUnrecognizedVersion]
#[test]
fn anything_else_is_a_client_and_all_its_bytes_are_given_back() {
    for input in [
        "GET / HTTP/1.1\r\n",
        "CONNECT {}\r\nPING\r\n",
        "PING\r\n",
        "\x16\x03\x01\x02\0\x01\0",
    ] {
        check(input, Header::Direct, input);
    }
    assert_eq!(
        decode(b"PROXY"),
        Ok((None, String::new())),
        "five bytes are not enough"
    );
}

proptest! {
    // CORE-88 to CORE-91
    #[test]
    fn any_cut_of_any_input_means_the_same(
        front in prop_oneof![Just(b"PROXY ".to_vec()), Just([V2, b"\x21"].concat()), Just(Vec::new())],
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        step in 1_usize..40,
    ) {
        let input = [front, tail].concat();
        prop_assert_eq!(feed(&input, step), feed(&input, usize::MAX));
    }
}

/// Both ends of a simulated connection; the second is the server's.
async fn connection() -> (ByteStream, ByteStream, Env) {
    let world = SimWorld::new(1);
    let (client, server) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let host = world.host(server.into());
    let mut acceptor = host.bind(SocketAddr::new(server.into(), 4222)).await.unwrap();
    let near = world.host(client.into());
    let (near, far) = tokio::join!(
        near.connect(SocketAddr::new(server.into(), 4222)),
        acceptor.accept()
    );
    let env = sim_env(1, world.host(server.into()), Logger::silent());
    (near.unwrap(), far.unwrap().open().unwrap(), env)
}

/// What comes of a connection that sends `parts`, each after a pause in seconds, and then stays silent; and after how
/// many seconds.
async fn receive_parts(early: &[u8], parts: &[(u64, &[u8])]) -> (Result<Received, String>, u64) {
    let (client, server, env) = connection().await;
    let begin = env.now();
    let send = async {
        for (pause, part) in parts {
            env.sleep(Duration::from_secs(*pause)).await;
            write_all(client.as_ref(), part).await;
        }
        std::future::pending::<()>().await;
    };
    let receive = receive(server.as_ref(), &env, early.to_vec());
    let received = tokio::select! {
        received = receive => received.map_err(|error| error.to_string()),
        () = send => unreachable!("it never ends"),
    };
    (received, (env.now() - begin).as_secs())
}

// CORE-88
#[tokio::test(start_paused = true)]
async fn silence_is_waited_for_once_and_a_beginning_twice() {
    let timeout = "read tcp 0.0.0.0:0->10.0.0.1:";
    for (parts, seconds, text) in [
        (&[][..], 5, "failed to read protocol version: EOF"),
        (&[(0, &b"PROX"[..])], 10, "failed to read protocol version: "),
        (&[(4, b"PROXY "), (4, b"TCP4")], 9, "failed to read v1 line: "),
        (&[(4, b"PR"), (4, b"OXY ")], 10, "failed to read v1 line: "),
        (&[(0, &V2[..7])], 5, "failed to read v2 signature: "),
        (&[(0, V2), (3, b"\x21")], 5, "failed to read v2 header: "),
    ] {
        let (received, taken) = receive_parts(b"", parts).await;
        let error = received.unwrap_err();
        assert!(error.starts_with(text), "{error}");
        if !parts.is_empty() {
            assert!(
                error.contains(timeout) && error.ends_with(": i/o timeout"),
                "{error}"
            );
        }
        let allowed = if parts.len() == 2 && seconds == 13 {
            10
        } else {
            seconds
        };
        assert_eq!(taken, allowed, "{parts:?}");
    }
}

// CORE-88: who has looked for TLS has waited already.
#[tokio::test(start_paused = true)]
async fn bytes_read_before_count_and_leave_one_wait() {
    let (received, _) = receive_parts(b"PROXY ", &[(1, b"UNKNOWN\r\nPING\r\n")]).await;
    assert_eq!(
        received,
        Ok(Received {
            header: Header::Local,
            rest: b"PING\r\n".to_vec()
        })
    );
    let (received, taken) = receive_parts(b"PRO", &[]).await;
    assert!(received.unwrap_err().ends_with("i/o timeout"));
    assert_eq!(taken, 5);
}

#[tokio::test(start_paused = true)]
async fn connection_that_ends_is_told_from_one_that_is_slow() {
    let (client, server, env) = connection().await;
    write_all(client.as_ref(), b"PROXY TCP4").await;
    client.shutdown();
    let received = receive(server.as_ref(), &env, Vec::new()).await;
    assert_eq!(received.unwrap_err().to_string(), "failed to read v1 line: EOF");
}
