//! A server that goes away slowly, and what its clients notice.

use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{CloseReason, Network as _};
use dunlin_net::sim::SimWorld;
use tokio::time::Instant;

use crate::sim::{self, Broker, Client, PORT, host};

const CONFIG: &str = "lame_duck_duration = \"40s\"\nlame_duck_grace_period = \"10s\"\n";

/// Connects, speaks `protocol`, and asks for a PONG.
async fn client(world: &SimWorld, broker: &Broker, protocol: u8) -> Client {
    let address = std::net::SocketAddr::new(broker.ip, PORT);
    let mut client = Client::connect(world, host(50), address).await;
    client
        .send(&format!(
            "CONNECT {{\"verbose\":false,\"protocol\":{protocol}}}\r\nPING\r\n"
        ))
        .await;
    client.expect("PONG\r\n").await;
    if protocol > 0 {
        client.expect("\r\n").await;
    }
    client
}

/// What the client is sent until its end, pings left out.
async fn last_words(client: &mut Client) -> String {
    client.expect_end().await.replace("PING\r\n", "")
}

// CORE-16, CORE-84 [TestLameDuckModeInfo]
#[test]
fn clients_that_can_be_told_are_told_and_closed_after_the_grace_period() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), CONFIG).await;
        let mut told = client(&world, &broker, 1).await;
        let mut old = client(&world, &broker, 0).await;
        let address = std::net::SocketAddr::new(broker.ip, PORT);
        let mut silent = Client::connect(&world, host(50), address).await;
        silent.expect("\r\n").await;
        let start = Instant::now();
        let (end, (), ()) = tokio::join!(
            async {
                let info = told.expect("\r\n").await;
                assert!(start.elapsed() < Duration::from_secs(1));
                assert!(
                    info.starts_with("INFO ") && info.contains("\"ldm\":true"),
                    "{info}"
                );
                assert!(
                    !info.contains("connect_urls") && !info.contains("connect_info"),
                    "{info}"
                );
                // It is still served.
                told.sync().await;
                (last_words(&mut told).await, start.elapsed())
            },
            async { assert_eq!(last_words(&mut old).await, "") },
            broker.server.lame_duck(),
        );
        assert_eq!(end.0, "");
        let spread = Duration::from_secs(10)..Duration::from_secs(13);
        assert!(spread.contains(&end.1), "closed after {:?}", end.1);
        assert_eq!(
            last_words(&mut silent).await,
            "",
            "who never spoke is sent away, too"
        );
        assert!(
            spread.contains(&start.elapsed()),
            "over after {:?}",
            start.elapsed()
        );
    });
}

// CORE-84 [TestLameDuckMode]
#[test]
fn clients_are_closed_one_by_one() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), CONFIG).await;
        let ends = Arc::new(std::sync::Mutex::new(Vec::new()));
        let start = Instant::now();
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let mut client = client(&world, &broker, 1).await;
            let ends = ends.clone();
            waiting.push(tokio::spawn(async move {
                client.expect_end().await;
                ends.lock().unwrap().push(start.elapsed());
            }));
        }
        broker.server.lame_duck().await;
        for waiting in waiting {
            waiting.await.unwrap();
        }
        let ends = ends.lock().unwrap();
        for pair in ends.windows(2) {
            let pause = pair[1] - pair[0];
            let allowed = Duration::from_millis(490)..Duration::from_millis(1010);
            assert!(allowed.contains(&pause), "{ends:?}");
        }
        assert!(ends[0] >= Duration::from_secs(10), "{ends:?}");
    });
}

// CORE-83 [TestLameDuckMode]
#[test]
fn a_lame_duck_takes_nobody_and_waits_for_nobody() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), CONFIG).await;
        let start = Instant::now();
        broker.server.lame_duck().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let address = std::net::SocketAddr::new(broker.ip, PORT);
        assert!(world.host(host(50)).connect(address).await.is_err());
    });
}

// CORE-84, CORE-87: a stop does not wait for the schedule.
#[test]
fn a_stop_interrupts_a_lame_duck() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), CONFIG).await;
        let mut client = client(&world, &broker, 1).await;
        let start = Instant::now();
        tokio::select! {
            biased;
            () = broker.server.lame_duck() => panic!("the grace period has not passed"),
            _ = client.expect("\"ldm\":true") => {}
        }
        broker.server.stop().await;
        client.expect_end().await;
        assert!(start.elapsed() < Duration::from_secs(2));
    });
}

// CORE-16, CORE-84 [TestAsyncInfoWithSmallerMaxPayload]: what is sent unasked has the account's limit, too.
#[test]
fn a_lame_duck_tells_the_limit_of_the_account() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let account =
            "[accounts.A.limits]\nmax_payload = 16\n[[accounts.A.users]]\nuser = \"a\"\npass = \"p\"\n";
        let broker = sim::start(&world, host(1), &format!("{CONFIG}{account}")).await;
        let address = std::net::SocketAddr::new(broker.ip, PORT);
        let mut client = Client::connect(&world, host(50), address).await;
        client
            .send("CONNECT {\"verbose\":false,\"protocol\":1,\"user\":\"a\",\"pass\":\"p\"}\r\nPING\r\n")
            .await;
        client.expect("\"connect_info\":true").await;
        client.expect("\r\n").await;
        tokio::select! {
            biased;
            () = broker.server.lame_duck() => panic!("the grace period has not passed"),
            info = client.expect("\"ldm\":true") => assert!(info.contains("\"max_payload\":16,"), "{info}"),
        }
        broker.server.stop().await;
    });
}

// CORE-49, CORE-86
#[test]
fn one_client_can_be_told_or_closed() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), CONFIG).await;
        let mut new = client(&world, &broker, 1).await;
        let mut old = client(&world, &broker, 0).await;
        let mut ids: Vec<_> = broker.server.connections().iter().map(|open| open.id).collect();
        ids.sort_unstable();
        assert_eq!(broker.server.announce_lame_duck_to(ids[0]), Ok(()));
        new.expect("\"ldm\":true").await;
        let text = "client does not support Lame Duck Mode or is not ready to receive the notification";
        let refused = broker.server.announce_lame_duck_to(ids[1]).unwrap_err();
        assert_eq!(refused.to_string(), text);
        let unknown = broker.server.announce_lame_duck_to(999).unwrap_err();
        assert_eq!(unknown.to_string(), "no such client id");
        assert_eq!(broker.server.kick(999), Err(unknown));
        broker.server.kick(ids[1]).unwrap();
        old.expect_end().await;
        while broker.server.connections().len() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let closed = broker.server.closed_connections();
        assert_eq!(closed[0].record.end.unwrap().1, CloseReason::Kicked);
        new.sync().await;
    });
}
