use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dunlin_api::{ByteStream, Instant, Network, Socket, readable, writable};
use proptest::prelude::*;

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

async fn connected(world: &SimWorld) -> (ByteStream, ByteStream) {
    let mut acceptor = world.host(B).bind(SocketAddr::new(B, 0)).await.unwrap();
    let client = world.host(A).connect(acceptor.local()).await.unwrap();
    let server = acceptor.accept().await.unwrap().open().unwrap();
    (client, server)
}

async fn write_all(stream: &dyn Socket, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.try_write_vectored(&[IoSlice::new(bytes)]) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(stream).await.unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn read_all(stream: &dyn Socket, wanted: usize) -> Vec<u8> {
    let mut bytes = vec![0; wanted];
    let mut count = 0;
    while count < wanted {
        readable(stream).await.unwrap();
        match stream.try_read(&mut bytes[count..]) {
            Ok(0) => panic!("ended after {count}"),
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
    bytes
}

fn paused<F: Future>(test: impl FnOnce() -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test().await })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_arrive_whole_and_in_order(seed: u64, chunk in 1_usize..3000, window in 1_usize..5000, len in 1_usize..20_000) {
        paused(|| async move {
            let world = SimWorld::new(seed);
            let jitter = Duration::from_millis(seed % 5);
            world.link(A, B, LinkRules { chunk, window, jitter, ..LinkRules::default() });
            let (client, server) = connected(&world).await;
            let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let (_, read) = tokio::join!(write_all(client.as_ref(), &bytes), read_all(server.as_ref(), len));
            assert!(read == bytes);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_takes_the_latency() {
    let world = SimWorld::new(1);
    world.link(
        A,
        B,
        LinkRules {
            latency: Duration::from_millis(80),
            ..LinkRules::default()
        },
    );
    let (client, server) = connected(&world).await;
    let start = Instant::now();
    write_all(client.as_ref(), b"x").await;
    read_all(server.as_ref(), 1).await;
    assert_eq!(start.elapsed(), Duration::from_millis(80));
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_bytes_back_and_loses_none() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    world.partition(A, B);
    write_all(client.as_ref(), b"waiting").await;
    let early = tokio::time::timeout(Duration::from_secs(60), readable(server.as_ref())).await;
    assert!(early.is_err(), "a byte crossed the partition");
    world.heal(A, B);
    assert_eq!(read_all(server.as_ref(), 7).await, b"waiting");
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_seen_at_both_ends() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    world.reset_all(B);
    for end in [client, server] {
        readable(end.as_ref()).await.unwrap();
        assert_eq!(
            end.try_read(&mut [0; 8]).unwrap_err().kind(),
            io::ErrorKind::ConnectionReset
        );
        let refused = end.try_write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_window_pushes_back_until_the_reader_reads() {
    let world = SimWorld::new(1);
    world.link(
        A,
        B,
        LinkRules {
            window: 4,
            ..LinkRules::default()
        },
    );
    let (client, server) = connected(&world).await;
    let mut sent = 0;
    while let Ok(count) = client.try_write_vectored(&[IoSlice::new(b"xxxxxxxx")]) {
        sent += count;
    }
    assert_eq!(sent, 4);
    let (writable, _) = tokio::join!(writable(client.as_ref()), read_all(server.as_ref(), 4));
    writable.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_after_the_last_byte() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    write_all(client.as_ref(), b"last").await;
    client.shutdown();
    assert_eq!(read_all(server.as_ref(), 4).await, b"last");
    readable(server.as_ref()).await.unwrap();
    assert_eq!(server.try_read(&mut [0; 8]).unwrap(), 0);
}
