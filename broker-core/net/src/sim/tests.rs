use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dunlin_api::{ByteStream, Instant, Network, readable, writable};
use proptest::prelude::*;
use tokio::time::{sleep, timeout};

use super::*;
use crate::test_streams::{end_of, pattern, read, read_all, write_all};

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

/// Longer than any link takes.
const LONG: Duration = Duration::from_secs(60);

async fn connected(world: &SimWorld) -> (ByteStream, ByteStream) {
    let mut acceptor = world.host(B).bind(SocketAddr::new(B, 0)).await.unwrap();
    let client = world.host(A).connect(acceptor.local()).await.unwrap();
    let server = acceptor.accept().await.unwrap().open().unwrap();
    (client, server)
}

fn paused<F: Future>(test: impl FnOnce() -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test().await })
}

/// A world with `latency` milliseconds between A and B.
fn distant(latency: u64) -> SimWorld {
    let world = SimWorld::new(1);
    let latency = Duration::from_millis(latency);
    let rules = LinkRules {
        latency,
        ..LinkRules::default()
    };
    world.link(A, B, rules);
    world
}

prop_compose! {
    fn rules()(chunk in 1_usize..3000, window in 1_usize..5000, jitter in 0_u64..20) -> LinkRules {
        LinkRules { chunk, window, jitter: Duration::from_millis(jitter), ..LinkRules::default() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_arrive_whole_and_in_order_both_ways(seed: u64, rules in rules(), there in 1_usize..20_000, back in 1_usize..20_000) {
        paused(|| async move {
            let world = SimWorld::new(seed);
            world.link(A, B, rules);
            let (client, server) = connected(&world).await;
            let (requests, replies) = (pattern(there), pattern(back));
            let (_, _, at_server, at_client) = tokio::join!(
                write_all(client.as_ref(), &requests),
                write_all(server.as_ref(), &replies),
                read_all(server.as_ref(), there),
                read_all(client.as_ref(), back),
            );
            assert!(at_server == requests && at_client == replies);
        });
    }

    #[test]
    fn partitions_change_no_byte(seed: u64, rules in rules(), len in 1_usize..20_000, cuts in 1_u64..20) {
        paused(|| async move {
            let world = SimWorld::new(seed);
            world.link(A, B, rules);
            let (client, server) = connected(&world).await;
            let bytes = pattern(len);
            let meddle = async {
                for cut in 0..cuts {
                    sleep(Duration::from_millis(seed % 7 + 1)).await;
                    world.partition(A, B);
                    sleep(Duration::from_millis(cut * 10)).await;
                    world.heal(A, B);
                }
            };
            let (_, at_server, ()) = tokio::join!(
                write_all(client.as_ref(), &bytes),
                read_all(server.as_ref(), len),
                meddle,
            );
            assert!(at_server == bytes);
        });
    }

    #[test]
    fn a_byte_takes_the_latency_and_at_most_the_jitter_more(seed: u64, latency in 1_u64..500, jitter in 0_u64..500) {
        paused(|| async move {
            let world = SimWorld::new(seed);
            let [latency, jitter] = [latency, jitter].map(Duration::from_millis);
            world.link(A, B, LinkRules { latency, jitter, ..LinkRules::default() });
            let (client, server) = connected(&world).await;
            let start = Instant::now();
            write_all(client.as_ref(), b"x").await;
            read_all(server.as_ref(), 1).await;
            let taken = start.elapsed();
            // A timer rounds up to the next millisecond.
            let most = latency + jitter + Duration::from_millis(1);
            assert!(latency <= taken && taken <= most, "{taken:?} is not in {latency:?}..{most:?}");
        });
    }

    #[test]
    fn a_seed_gives_the_same_run_again(seed: u64, rules in rules()) {
        let run = || paused(|| async move {
            let world = SimWorld::new(seed);
            world.link(A, B, rules);
            let (client, server) = connected(&world).await;
            let bytes = pattern(10_000);
            let read_some = async {
                let (start, mut seen) = (Instant::now(), Vec::new());
                let mut missing = bytes.len();
                while missing > 0 {
                    let count = read(server.as_ref(), &mut [0; 512]).await.unwrap();
                    seen.push((start.elapsed(), count));
                    missing -= count;
                }
                seen
            };
            tokio::join!(write_all(client.as_ref(), &bytes), read_some).1
        });
        prop_assert_eq!(run(), run());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_takes_a_round_trip_and_is_seen_after_half_of_it() {
    let world = distant(80);
    let mut acceptor = world.host(B).bind(SocketAddr::new(B, 0)).await.unwrap();
    let (start, address) = (Instant::now(), acceptor.local());
    let host = world.host(A);
    let connect = async {
        let stream = host.connect(address).await.unwrap();
        (stream.peer(), start.elapsed())
    };
    let accept = async {
        let incoming = acceptor.accept().await.unwrap();
        let elapsed = start.elapsed();
        (incoming.open().unwrap().peer().ip(), elapsed)
    };
    let (client, server) = tokio::join!(connect, accept);
    assert_eq!(client, (address, Duration::from_millis(160)));
    assert_eq!(server, (A, Duration::from_millis(80)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_bytes_back_and_loses_none() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    write_all(client.as_ref(), b"under way, ").await;
    world.partition(A, B);
    write_all(client.as_ref(), b"waiting").await;
    let early = timeout(LONG, readable(server.as_ref())).await;
    assert!(early.is_err(), "a byte crossed the partition");
    world.heal(A, B);
    assert_eq!(read_all(server.as_ref(), 18).await, b"under way, waiting");
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_the_end_back() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    world.partition(A, B);
    drop(client);
    assert!(timeout(LONG, readable(server.as_ref())).await.is_err());
    // The peer's end is not known here yet, so a write still succeeds.
    write_all(server.as_ref(), b"x").await;
    world.heal(A, B);
    assert_eq!(end_of(server.as_ref()).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn connecting_waits_for_the_end_of_a_partition() {
    let world = SimWorld::new(1);
    let acceptor = world.host(B).bind(SocketAddr::new(B, 0)).await.unwrap();
    world.partition(A, B);
    let host = world.host(A);
    let mut connect = host.connect(acceptor.local());
    assert!(timeout(LONG, &mut connect).await.is_err());
    world.heal(A, B);
    connect.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connecting_is_refused_where_nobody_listens_and_by_a_partition_that_refuses() {
    let world = SimWorld::new(1);
    let acceptor = world.host(B).bind(SocketAddr::new(B, 0)).await.unwrap();
    let address = acceptor.local();
    let refusal = |result: io::Result<ByteStream>| result.err().map(|error| error.kind());
    world.partition_refusing(A, B);
    let refused = timeout(LONG, world.host(A).connect(address)).await.unwrap();
    assert_eq!(refusal(refused), Some(io::ErrorKind::ConnectionRefused));
    world.heal(A, B);
    let accepted = world.host(A).connect(address).await;
    assert_eq!(refusal(accepted), None);
    drop(acceptor);
    let refused = world.host(A).connect(address).await;
    assert_eq!(refusal(refused), Some(io::ErrorKind::ConnectionRefused));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_seen_at_both_ends() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    write_all(client.as_ref(), b"lost").await;
    world.partition(A, B);
    world.reset_all(B);
    for end in [client, server] {
        assert_eq!(end_of(end.as_ref()).await, Err(io::ErrorKind::ConnectionReset));
        writable(end.as_ref()).await.unwrap();
        let refused = end.try_write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_leaves_the_connections_of_other_hosts_alone() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    world.reset_all("10.0.0.3".parse().unwrap());
    write_all(client.as_ref(), b"x").await;
    assert_eq!(read_all(server.as_ref(), 1).await, b"x");
}

#[tokio::test(start_paused = true)]
async fn bytes_for_a_closed_end_are_answered_with_a_reset() {
    let world = distant(80);
    let (client, server) = connected(&world).await;
    drop(server);
    assert_eq!(end_of(client.as_ref()).await, Ok(()));
    let start = Instant::now();
    write_all(client.as_ref(), b"too late").await;
    let mut last = Ok(());
    while last.is_ok() && start.elapsed() < LONG {
        sleep(Duration::from_millis(1)).await;
        last = end_of(client.as_ref()).await;
    }
    assert_eq!(last, Err(io::ErrorKind::ConnectionReset));
    assert!(start.elapsed() >= Duration::from_millis(160));
}

#[tokio::test(start_paused = true)]
async fn a_full_window_pushes_back_until_the_reader_reads() {
    let world = SimWorld::new(1);
    let rules = LinkRules {
        window: 4,
        ..LinkRules::default()
    };
    world.link(A, B, rules);
    let (client, server) = connected(&world).await;
    let mut sent = 0;
    let full = loop {
        match client.try_write_vectored(&[IoSlice::new(b"xx"), IoSlice::new(b"xxxxxx")]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert_eq!((full.kind(), sent), (io::ErrorKind::WouldBlock, 4));
    let early = timeout(LONG, writable(client.as_ref())).await;
    assert!(early.is_err(), "writable while the reader reads nothing");
    let (writable, _) = tokio::join!(writable(client.as_ref()), read_all(server.as_ref(), 4));
    writable.unwrap();
    assert_eq!(client.try_write_vectored(&[IoSlice::new(b"x")]).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_read_is_no_end() {
    let world = SimWorld::new(1);
    let (client, _server) = connected(&world).await;
    let error = client.try_read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test(start_paused = true)]
async fn an_empty_buffer_takes_no_byte() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    write_all(client.as_ref(), b"kept").await;
    readable(server.as_ref()).await.unwrap();
    for _ in 0..20 {
        assert_eq!(server.try_read(&mut []).unwrap(), 0);
    }
    assert_eq!(read_all(server.as_ref(), 4).await, b"kept");
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_after_the_last_byte() {
    let world = SimWorld::new(1);
    let (client, server) = connected(&world).await;
    write_all(client.as_ref(), b"last").await;
    client.shutdown();
    assert_eq!(read_all(server.as_ref(), 4).await, b"last");
    assert_eq!(end_of(server.as_ref()).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_wakes_its_own_reader_and_writer() {
    let world = SimWorld::new(1);
    let rules = LinkRules {
        window: 1,
        ..LinkRules::default()
    };
    world.link(A, B, rules);
    let (client, _server) = connected(&world).await;
    write_all(client.as_ref(), b"x").await;
    let shut = async { client.shutdown() };
    let (ended, written, ()) = tokio::join!(end_of(client.as_ref()), writable(client.as_ref()), shut);
    assert_eq!(ended, Ok(()));
    written.unwrap();
    let refused = client.try_write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
}

async fn bind(host: &SimNetwork, address: &str) -> Result<SocketAddr, io::ErrorKind> {
    let bound = host.bind(address.parse().unwrap()).await;
    bound
        .map(|acceptor| acceptor.local())
        .map_err(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn a_host_listens_on_its_own_address_only() {
    let host = SimWorld::new(1).host(B);
    for own in ["10.0.0.2:4222", "0.0.0.0:4222", "[::]:4222", "127.0.0.1:4222"] {
        assert_eq!(bind(&host, own).await, Ok(SocketAddr::new(B, 4222)));
    }
    let other = bind(&host, "10.0.0.1:4222").await;
    assert_eq!(other, Err(io::ErrorKind::AddrNotAvailable));
}

#[tokio::test(start_paused = true)]
async fn a_port_has_one_listener_at_a_time_and_port_0_picks_a_free_one() {
    let host = SimWorld::new(1).host(B);
    let first = host.bind("0.0.0.0:20000".parse().unwrap()).await.unwrap();
    let again = bind(&host, "0.0.0.0:20000").await;
    assert_eq!(again, Err(io::ErrorKind::AddrInUse));
    assert_eq!(bind(&host, "0.0.0.0:0").await, Ok(SocketAddr::new(B, 20_001)));
    drop(first);
    let again = bind(&host, "0.0.0.0:20000").await;
    assert_eq!(again, Ok(SocketAddr::new(B, 20_000)));
}

#[tokio::test(start_paused = true)]
async fn an_environment_keeps_to_its_seed() {
    let draw = |seed| {
        let env = sim_env(seed, SimWorld::new(1).host(A), Logger::silent());
        let mut secret = [0; 16];
        env.fill_secret(&mut secret);
        (secret, env.rng().bits(), env.wall())
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7).0, draw(8).0);
}
