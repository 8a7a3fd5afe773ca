//! What travels over a secured stream, and over one that is still in clear.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::test_streams::{pattern, read, read_all, write_all};

prop_compose! {
    fn rules()(chunk in 1_usize..30_000, window in 200_usize..50_000, jitter in 0_u64..5) -> LinkRules {
        LinkRules { chunk, window, jitter: Duration::from_millis(jitter), ..LinkRules::default() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // AUTH-303: whatever the network and whatever room the reader has, down to a single byte.
    #[test]
    fn bytes_arrive_whole_and_in_order_both_ways(
        seed: u64, rules in rules(), there in 1_usize..100_000, back in 1_usize..100_000, room in 1_usize..100_000,
    ) {
        paused(|| async move {
            let bench = Bench::with(seed, rules);
            let (server, peer, stream) = bench.shake("timeout: 600", bench.client()).await;
            prop_assert!(server.is_ok());
            let mut peer = peer.ok().unwrap();
            let (requests, replies) = (pattern(there), pattern(back));
            let at_server = async {
                let mut bytes = Vec::new();
                let mut buffer = vec![0; room];
                while bytes.len() < there {
                    let count = read(stream.as_ref(), &mut buffer).await.unwrap();
                    bytes.extend_from_slice(&buffer[..count]);
                }
                bytes
            };
            // One direction after the other: the simple client waits in its writes.
            let (_, at_server) = tokio::join!(peer.write(&requests), at_server);
            let (_, at_client) = tokio::join!(write_in_parts(stream.as_ref(), &replies), peer.read(back));
            prop_assert!(at_server == requests && at_client.unwrap() == replies);
            Ok(())
        })?;
    }
}

/// As an output does it: several chunks at once, again from the first byte not taken.
async fn write_in_parts(stream: &dyn Socket, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let parts: Vec<_> = bytes.chunks(4096).take(64).map(std::io::IoSlice::new).collect();
        match stream.try_write_vectored(&parts) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                dunlin_api::writable(stream).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

// CORE-8: looking at the first bytes takes none away, secured or not.
#[test]
fn first_bytes_stay_to_be_read() {
    paused(|| async {
        let bench = Bench::new();
        let limit = Duration::from_secs(1);
        let (client, stream) = bench.connect().await;
        assert_eq!(
            stream.first_byte(6, limit, &bench.env).await,
            None,
            "nothing came in time"
        );
        write_all(client.as_ref(), b"PI").await;
        assert_eq!(
            stream.first_byte(6, limit, &bench.env).await,
            Some(b'P'),
            "fewer than asked for"
        );
        write_all(client.as_ref(), b"NG\r\nPONG").await;
        assert_eq!(stream.first_byte(6, limit, &bench.env).await, Some(b'P'));
        assert_eq!(read_all(stream.as_ref(), 10).await, b"PING\r\nPONG");
        stream.unread(b"again".to_vec());
        assert_eq!(read_all(stream.as_ref(), 5).await, b"again");

        let (client, stream) = bench.connect().await;
        let tls = bench.server("").unwrap();
        let (server, peer) = tokio::join!(
            async {
                assert_eq!(stream.first_byte(6, limit, &bench.env).await, Some(0x16));
                stream.accept(&tls, &bench.env).await
            },
            Peer::connect(client, bench.client(), "server.test")
        );
        assert!(server.is_ok() && peer.is_ok());
    });
}

// CORE-74 [TestClientCloseTLSConnection]
#[test]
fn the_peer_is_told_goodbye_and_a_deaf_one_delays_nobody() {
    paused(|| async {
        let bench = Bench::new();
        let (_, peer, stream) = bench.shake("", bench.client()).await;
        stream.shutdown();
        let told = peer.ok().unwrap().read(1).await;
        assert_eq!(told.unwrap_err(), "goodbye");

        let narrow = LinkRules {
            window: 4000,
            ..LinkRules::default()
        };
        let bench = Bench::with(1, narrow);
        let (_, _peer, stream) = bench.shake("", bench.client()).await;
        let blocked = stream.try_write_vectored(&[std::io::IoSlice::new(&pattern(16_384))]);
        assert_eq!(blocked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        stream.shutdown();
        let end = read(stream.as_ref(), &mut [0; 100_000]).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    });
}

// AUTH-303: keys may change at any time.
#[test]
fn new_keys_of_the_client_are_taken_over() {
    paused(|| async {
        let bench = Bench::new();
        let (_, peer, stream) = bench.shake("", bench.client()).await;
        let mut peer = peer.ok().unwrap();
        for round in 0..3_u8 {
            peer.tls.refresh_traffic_keys().unwrap();
            peer.write(&[round]).await;
            assert_eq!(read_all(stream.as_ref(), 1).await, [round]);
            write_all(stream.as_ref(), &[round]).await;
            assert_eq!(peer.read(1).await.unwrap(), [round]);
        }
    });
}

// A flipped bit ends the stream; what came before it was delivered.
#[test]
fn a_forged_record_ends_the_stream_behind_what_is_good() {
    paused(|| async {
        let bench = Bench::new();
        let (_, peer, stream) = bench.shake("", bench.client()).await;
        let mut peer = peer.ok().unwrap();
        peer.write(b"good").await;
        let mut forged = vec![0x17, 3, 3, 0, 40];
        forged.resize(45, 7);
        peer.send_raw(&forged).await;
        let mut buffer = vec![0; 100_000];
        assert_eq!(read(stream.as_ref(), &mut buffer).await.unwrap(), 4);
        let error = read(stream.as_ref(), &mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(
            peer.read(1).await.unwrap_err(),
            "received fatal alert: BadRecordMac"
        );
    });
}
