//! What a broker keeps of its connections, open and closed, and what it logs about them.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin::{ClosedConnection, ConnectionRecord};
use dunlin_api::{CloseReason, Level, LogSink, Logger};
use dunlin_net::sim::SimWorld;

use crate::sim::{self, Broker, Client, PORT, host};

/// Log lines, each with its level.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl LogSink for Lines {
    fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        self.0.lock().unwrap().push(format!("{level:?} {text}"));
    }
}

impl Lines {
    /// The lines that contain `text`.
    fn with(&self, text: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let found = lines.iter().filter(|line| line.contains(text));
        found.cloned().collect()
    }

    /// The level of each line of connection `id`, and what follows its address.
    fn of(&self, id: u64) -> Vec<String> {
        let mark = format!(" - cid:{id} - ");
        let lines = self.0.lock().unwrap();
        let found = lines.iter().filter_map(|line| {
            let (level, _) = line.split_once(' ')?;
            let (_, rest) = line.split_once(&mark)?;
            Some(format!("{level} {rest}"))
        });
        found.collect()
    }
}

async fn connect(world: &SimWorld, broker: &Broker) -> Client {
    let address = std::net::SocketAddr::new(broker.ip, PORT);
    let mut client = Client::connect(world, host(50), address).await;
    client.expect("\r\n").await;
    client
}

/// The only connection that has closed, once there is one.
async fn only_closed(broker: &Broker) -> ClosedConnection {
    loop {
        let mut closed = broker.server.closed_connections();
        if let Some(only) = closed.pop() {
            assert!(closed.is_empty(), "several have closed");
            return only;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

const ACCOUNTS: &str = r#"
max_control_line = 64
max_payload = 20
[authorization]
timeout = 3
[[authorization.users]]
user = "joe"
pass = "secret"
"#;

/// What a client that says `sent` is told, why it is closed, and what the log says.
async fn check_end(config: &str, sent: &str, told: &str, reason: CloseReason, logged: &[&str]) {
    let world = SimWorld::new(7);
    let lines = Lines::default();
    let logger = Logger::new(Arc::new(lines.clone()));
    logger.set_levels(true, false);
    let broker = sim::start_logging_to(&world, host(1), config, logger).await;
    let mut client = connect(&world, &broker).await;
    client.send(sent).await;
    let end = client.expect_end().await;
    assert!(end.ends_with(told), "{sent:?} was told {end:?}");
    let closed = only_closed(&broker).await;
    assert_eq!(
        closed.record.end.map(|(_, reason)| reason),
        Some(reason),
        "{sent:?}"
    );
    let mut expected = vec!["Debug Client connection created".to_owned()];
    expected.extend(logged.iter().map(|line| (*line).to_owned()));
    assert_eq!(lines.of(closed.record.id), expected, "{sent:?}");
    assert!(broker.server.connections().is_empty());
}

// CORE-29, CORE-31, CORE-34, CORE-49, CORE-50, CORE-P7, MON-51
// [TestClosedMaxPayload, TestCloseConnectionLogsReason]
#[test]
fn a_closed_connection_is_kept_with_its_reason() {
    sim::run(|| async {
        let open = "max_control_line = 64\nmax_payload = 20\n";
        let quiet = "CONNECT {\"verbose\":false}\r\n";
        check_end(
            open,
            "bogus\r\n",
            "-ERR 'Unknown Protocol Operation'\r\n",
            CloseReason::ProtocolViolation,
            &[
                "Error Client parser ERROR, state=0, i=0: proto='\"bogus\\r\"...'",
                "Debug Client connection closed: Protocol Violation",
            ],
        )
        .await;
        check_end(
            open,
            &format!("{quiet}PUB foo 21\r\n"),
            "-ERR 'Maximum Payload Violation'\r\n",
            CloseReason::MaxPayloadExceeded,
            &[
                "Error maximum payload exceeded: 21 vs 20",
                "Debug Client connection closed: Maximum Message Payload Exceeded",
            ],
        )
        .await;
        check_end(
            open,
            &format!("SUB {} 1\r\n", "x".repeat(70)),
            "-ERR 'maximum control line exceeded'\r\n",
            CloseReason::MaxControlLineExceeded,
            &[
                "Error maximum control line exceeded",
                "Debug Client connection closed: Maximum Control Line Exceeded",
            ],
        )
        .await;
        check_end(
            open,
            "-ERR 'gone'\r\n",
            "",
            CloseReason::ParseError,
            &[
                "Error Client Error 'gone'",
                "Debug Client connection closed: Parse Error",
            ],
        )
        .await;
        check_end(
            open,
            "SUB foo\r\n",
            "",
            CloseReason::ProtocolViolation,
            &[
                "Error processSub Parse Error: \"foo\"",
                "Debug Client connection closed: Protocol Violation",
            ],
        )
        .await;
    });
}

// CORE-20, CORE-22, CORE-49
#[test]
fn a_connect_that_cannot_be_met_is_a_reason_to_close() {
    sim::run(|| async {
        check_end(
            "",
            "CONNECT {\"protocol\":2,\"lang\":\"go\"}\r\n",
            "-ERR 'invalid client protocol'\r\n",
            CloseReason::BadClientProtocolVersion,
            &[
                "Error \"go\" - invalid client protocol",
                "Debug \"go\" - Client connection closed: Bad Client Protocol Version",
            ],
        )
        .await;
        check_end(
            "",
            "CONNECT {\"no_responders\":true}\r\n",
            "-ERR 'no responders requires headers support'\r\n",
            CloseReason::NoRespondersRequiresHeaders,
            &[
                "Error no responders requires headers support",
                "Debug Client connection closed: No Responders Requires Headers",
            ],
        )
        .await;
    });
}

// CORE-7, CORE-23, CORE-46
// [TestClosedAuthorizationTimeout, TestClosedAuthorizationViolation, TestClosedUPAuthorizationViolation]
#[test]
fn a_refused_login_is_kept_with_the_user_that_it_claimed() {
    sim::run(|| async {
        check_end(
            ACCOUNTS,
            "PING\r\n",
            "-ERR 'Authorization Violation'\r\n",
            CloseReason::AuthenticationViolation,
            &[
                "Error authentication error",
                "Debug Client connection closed: Authentication Failure",
            ],
        )
        .await;
        check_end(
            ACCOUNTS,
            "CONNECT {\"user\":\"joe\",\"pass\":\"wrong\"}\r\n",
            "-ERR 'Authorization Violation'\r\n",
            CloseReason::AuthenticationViolation,
            &[
                "Error authentication error - User \"joe\"",
                "Debug Client connection closed: Authentication Failure",
            ],
        )
        .await;
        check_end(
            ACCOUNTS,
            "",
            "-ERR 'Authentication Timeout'\r\n",
            CloseReason::AuthenticationTimeout,
            &[
                "Debug Authentication Timeout",
                "Debug Client connection closed: Authentication Timeout",
            ],
        )
        .await;
    });
}

// CORE-75, CORE-77, CORE-78
#[test]
fn pings_go_on_while_a_login_is_awaited() {
    sim::run(|| async {
        let config = format!("ping_interval = \"1s\"\nping_max = 2\n{ACCOUNTS}")
            .replace("timeout = 3", "timeout = 60");
        check_end(
            &config,
            "",
            "PING\r\nPING\r\n-ERR 'Stale Connection'\r\n",
            CloseReason::StaleConnection,
            &[
                "Debug Client Ping Timer",
                "Debug Client Ping Timer",
                "Debug Client Ping Timer",
                "Debug Stale Client Connection - Closing",
                "Debug Client connection closed: Stale Connection",
            ],
        )
        .await;
    });
}

// CORE-49, CORE-50, CORE-64, MON-51 [TestClosedConnsAccounting, TestClosedConnsSubsAccounting]
#[test]
fn a_closed_connection_keeps_its_last_numbers_and_subscriptions() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let mut client = connect(&world, &broker).await;
        let connect = r#"CONNECT {"verbose":false,"name":"n","lang":"go","version":"1.2","user":"joe"}"#;
        client
            .send(&format!("{connect}\r\nSUB foo 1\r\nSUB bar q 2\r\nUNSUB 2 5\r\n"))
            .await;
        client
            .send("PUB foo 3\r\nabc\r\nPUB bar 2\r\nxx\r\nPUB nobody 1\r\nx\r\n")
            .await;
        client.sync().await;
        let open = broker.server.connections();
        assert_eq!(open.len(), 1);
        check_record(&open[0]);
        let before_end = broker.env.wall();
        tokio::time::sleep(Duration::from_secs(5)).await;
        client.close();
        let closed = only_closed(&broker).await;
        check_record(&closed.record);
        let (end, reason) = closed.record.end.unwrap();
        assert_eq!(reason, CloseReason::ClientClosed);
        assert!(end >= before_end + Duration::from_secs(5), "idle until the end");
        assert!(closed.record.last_activity() <= before_end);
        let mut subscriptions: Vec<_> = closed
            .subscriptions
            .iter()
            .map(|sub| {
                format!(
                    "{} {:?} {} of {}",
                    sub.sid,
                    sub.queue.is_some(),
                    sub.delivered,
                    sub.max
                )
            })
            .collect();
        subscriptions.sort();
        assert_eq!(subscriptions, ["1 false 1 of 0", "2 true 1 of 5"]);
    });
}

fn check_record(record: &ConnectionRecord) {
    let status = &record.status;
    assert_eq!(
        [&*status.name, &*status.lang, &*status.version, &*status.user],
        ["n", "go", "1.2", "joe"]
    );
    assert_eq!((status.kind, status.protocol), ("Client", "nats"));
    assert_eq!(status.peer.map(|peer| peer.ip()), Some(host(50)));
    assert_eq!(record.account.as_str(), "$G");
    let traffic = record.traffic;
    assert_eq!((traffic.in_messages, traffic.in_bytes), (3, 6));
    assert_eq!((traffic.out_messages, traffic.out_bytes), (2, 5));
    assert_eq!(record.subscriptions, 2);
    assert!(status.round_trip.is_some_and(|time| !time.is_zero()), "CORE-79");
    assert!(record.last_activity() >= record.start);
}

// CORE-50, MON-51 [TestRBAppendAndLenAndTotal]
#[test]
fn the_oldest_closed_connections_are_forgotten() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "max_closed_clients = 3\n").await;
        let mut ids = Vec::new();
        for count in 1..=5_u64 {
            let client = connect(&world, &broker).await;
            ids.extend(broker.server.connections().iter().map(|open| open.id));
            client.close();
            while broker.server.totals().closed_connections < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let closed = broker.server.closed_connections();
        let kept: Vec<_> = closed.iter().map(|closed| closed.record.id).collect();
        assert_eq!(kept, ids[2..]);
        assert_eq!(broker.server.totals().closed_connections, 5);
    });
}

// CORE-50, CORE-51 [TestClientDoesNotAddSubscriptionsWhenConnectionClosed, TestClientMapRemoval]
#[test]
fn what_comes_behind_the_end_is_not_done() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "max_payload = 4\n").await;
        let mut client = connect(&world, &broker).await;
        client.send("SUB foo 1\r\nPUB foo 5\r\nSUB bar 2\r\n").await;
        client.expect_end().await;
        let closed = only_closed(&broker).await;
        assert_eq!(closed.record.subscriptions, 1);
        assert_eq!(broker.server.totals().subscriptions, 0);
        assert_eq!(broker.server.totals().connections, 0);
    });
}

// CORE-12 [TestCloseConnectionVeryEarly]
#[test]
fn a_connection_that_breaks_at_once_leaves_nothing() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let address = std::net::SocketAddr::new(broker.ip, PORT);
        let client = Client::connect(&world, host(50), address).await;
        world.reset_all(host(50));
        only_closed(&broker).await;
        assert!(broker.server.connections().is_empty());
        assert_eq!(broker.server.totals().connections, 0);
        drop(client);
    });
}

// CORE-3, CORE-49
#[test]
fn a_connection_beyond_the_limit_counts_for_nothing_but_is_kept() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let lines = Lines::default();
        let logger = Logger::new(Arc::new(lines.clone()));
        let broker = sim::start_logging_to(&world, host(1), "max_connections = 1\n", logger).await;
        let mut first = connect(&world, &broker).await;
        for _ in 0..2 {
            let end = connect(&world, &broker).await.expect_end().await;
            assert_eq!(end, "-ERR 'maximum connections exceeded'\r\n");
        }
        first.sync().await;
        while broker.server.totals().closed_connections < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let reasons = broker.server.closed_connections();
        let reasons: Vec<_> = reasons
            .iter()
            .map(|closed| closed.record.end.unwrap().1)
            .collect();
        assert_eq!(reasons, [CloseReason::MaxConnectionsExceeded; 2]);
        assert_eq!(broker.server.connections().len(), 1);
        // CORE-142: once a second.
        assert_eq!(lines.with("maximum connections exceeded").len(), 1);
    });
}

// CORE-41 [TestClientClampMaxSubsErrReport]
#[test]
fn full_subscriptions_are_reported_every_two_seconds() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let lines = Lines::default();
        let logger = Logger::new(Arc::new(lines.clone()));
        let broker = sim::start_logging_to(&world, host(1), "max_subscriptions = 1\n", logger).await;
        let mut client = Client::log_in(&world, host(50), &broker).await;
        client.send("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n").await;
        let error = "-ERR 'maximum subscriptions exceeded'\r\n";
        assert_eq!(client.sync().await, error.repeat(2));
        assert_eq!(lines.with("maximum subscriptions exceeded").len(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        client.send("SUB b 2\r\n").await;
        assert!(client.sync().await.ends_with(error));
        assert_eq!(lines.with("maximum subscriptions exceeded").len(), 2);
    });
}

// CORE-41 [TestClientLimits]
#[test]
fn a_login_whose_limits_leave_no_room_is_told_and_closed() {
    sim::run(|| async {
        let config = r#"
[accounts.A.limits]
max_subscriptions = 0
[[accounts.A.users]]
user = "joe"
pass = "secret"
"#;
        check_end(
            config,
            "CONNECT {\"user\":\"joe\",\"pass\":\"secret\",\"verbose\":true}\r\n",
            "+OK\r\n-ERR 'maximum subscriptions exceeded'\r\n",
            CloseReason::MaxSubscriptionsExceeded,
            &[
                "Error \"A/user:joe\" - maximum subscriptions exceeded",
                "Debug \"A/user:joe\" - Client connection closed: Maximum Subscriptions Exceeded",
            ],
        )
        .await;
    });
}

// CORE-141 [TestTraceMsg, TestTraceMsgHeadersOnly, TestTraceMsgDelivery, TestTraceMsgDeliveryWithHeaders]
#[test]
fn a_trace_shows_what_a_client_says_and_is_told() {
    sim::run(|| async {
        let connect = r#"CONNECT {"verbose":false,"headers":true,"pass":"secret"}"#;
        let script = "SUB foo 1\r\nPUB foo 5\r\nhello\r\nHPUB foo re 12 17\r\nNATS/1.0\r\n\r\nhello\r\nUNSUB 1\r\nSUB .. 2\r\n";
        let lines = traced("", &format!("{connect}\r\n{script}")).await;
        let expected = [
            r#"<<- [CONNECT {"verbose":false,"headers":true,"pass":"[REDACTED]"}]"#,
            "<<- [SUB foo 1]",
            "<<- [PUB foo 5]",
            "<<- MSG_PAYLOAD: [\"hello\"]",
            "->> [MSG foo 1 5]",
            "->> MSG_PAYLOAD: [\"hello\"]",
            "<<- [HPUB foo re 12 17]",
            "<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\n\\r\\nhello\"]",
            "->> [HMSG foo 1 re 12 17]",
            "->> MSG_PAYLOAD: [\"NATS/1.0\\r\\n\\r\\nhello\"]",
            "<<- [UNSUB 1]",
            "<-> [DELSUB 1]",
            "<<- [SUB .. 2]",
            "->> [-ERR Invalid Subject]",
            "<<- [PING]",
            "->> [PONG]",
        ];
        assert_eq!(lines, expected);
    });
}

// CORE-141 [TestTraceMsg, TestTraceMsgHeadersOnly]
#[test]
fn a_traced_message_is_cut_to_what_the_configuration_wants() {
    sim::run(|| async {
        let connect = "CONNECT {\"verbose\":false,\"headers\":true}\r\n";
        let publish = "PUB foo 7\r\nhello\r\n\r\nHPUB foo 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nxx\r\n";
        let payloads = async |config: &str| {
            let lines = traced(config, &format!("{connect}{publish}")).await;
            let payloads = lines.into_iter().filter(|line| line.contains("MSG_PAYLOAD"));
            payloads.collect::<Vec<_>>()
        };
        assert_eq!(
            payloads("max_traced_msg_len = 5\n").await,
            [
                "<<- MSG_PAYLOAD: [\"hello...\"]",
                "<<- MSG_PAYLOAD: [\"NATS/...\"]"
            ]
        );
        assert_eq!(
            payloads("max_traced_msg_len = 7\n").await[0],
            "<<- MSG_PAYLOAD: [\"hello\\r\\n\"]"
        );
        assert_eq!(
            payloads("trace_headers = true\n").await,
            ["<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\nA: b\"]"]
        );
    });
}

// CORE-111, CORE-141
#[test]
fn a_trace_shows_where_mappings_send_a_message() {
    sim::run(|| async {
        let config = "[mappings]\n\"a.*\" = \"b.$1\"\nsame = \"same\"\ndrop = { dest = \"drop\", weight = 0 }\n\
                      half = { dest = \"half\", weight = 50 }\n";
        let publishes = ["a.1", "same", "other", "drop"].map(|subject| format!("PUB {subject} 0\r\n\r\n"));
        let halves = "PUB half 0\r\n\r\n".repeat(20);
        let sent = format!("CONNECT {{}}\r\n{}{halves}", publishes.concat());
        let lines = traced(config, &sent).await;
        let mapped = lines.iter().filter_map(|line| line.strip_prefix("<<- [MAPPING "));
        let (certain, drawn): (Vec<_>, Vec<_>) = mapped.partition(|line| !line.starts_with("half"));
        assert_eq!(certain, ["a.1 -> b.1]", "same -> same]", "drop -> ]"]);
        let dropped = drawn.iter().filter(|line| **line == "half -> ]").count();
        let kept = drawn.iter().filter(|line| **line == "half -> half]").count();
        assert!(dropped + kept == 20 && dropped.min(kept) > 0, "{drawn:?}");
    });
}

/// The trace of a client that says `sent` and then PING.
async fn traced(config: &str, sent: &str) -> Vec<String> {
    let world = SimWorld::new(7);
    let lines = Lines::default();
    let logger = Logger::new(Arc::new(lines.clone()));
    logger.set_levels(false, true);
    let broker = sim::start_logging_to(&world, host(1), config, logger).await;
    let mut client = connect(&world, &broker).await;
    client.send(sent).await;
    client.sync().await;
    let lines = lines.of(broker.server.connections()[0].id);
    let shown = lines.iter().filter_map(|line| line.strip_prefix("Trace "));
    shown.map(str::to_owned).collect()
}

// CORE-76, CORE-77 [TestPingSuppresion]
#[test]
fn a_client_that_is_heard_of_is_pinged_once_for_its_round_trip() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let lines = Lines::default();
        let logger = Logger::new(Arc::new(lines.clone()));
        logger.set_levels(true, false);
        let broker = sim::start_logging_to(&world, host(1), "ping_interval = \"90s\"\n", logger).await;
        let mut client = Client::log_in(&world, host(50), &broker).await;
        client.expect("PING\r\n").await;
        client.send("PONG\r\n").await;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert_eq!(
                client.sync().await,
                "",
                "it is heard of, and its round trip is known"
            );
        }
        let delayed = lines.with("Delaying PING due to remote client data or ping ");
        assert!(delayed.len() >= 3, "{delayed:?}");
        assert!(delayed.iter().all(|line| line.ends_with("s ago")), "{delayed:?}");
    });
}

// CORE-51 [TestUnsubRace]
#[test]
fn a_subscription_may_end_while_messages_come() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let mut subscriber = Client::log_in(&world, host(50), &broker).await;
        subscriber.send("SUB foo 1\r\n").await;
        subscriber.sync().await;
        let mut publisher = Client::log_in(&world, host(51), &broker).await;
        let publish = async {
            for _ in 0..100 {
                publisher.send(&"PUB foo 5\r\nhello\r\n".repeat(100)).await;
            }
            publisher.sync().await;
        };
        let unsubscribe = async {
            subscriber.expect("hello\r\n").await;
            subscriber.send("UNSUB 1\r\n").await;
            subscriber.sync().await;
            subscriber.sync().await
        };
        let ((), late) = tokio::join!(publish, unsubscribe);
        assert_eq!(late, "", "delivered behind the end of the subscription");
        assert_eq!(broker.env.panics(), 0);
        assert_eq!(broker.server.totals().subscriptions, 0);
    });
}

// CORE-67 [TestClientMaxPending]
#[test]
fn pending_bytes_beyond_31_bits_are_a_limit_like_others() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "max_pending = 2147483648\n").await;
        let mut client = Client::log_in(&world, host(50), &broker).await;
        client.send("SUB foo 1\r\nPUB foo 3\r\nmsg\r\n").await;
        assert_eq!(client.sync().await, "MSG foo 1 3\r\nmsg\r\n");
    });
}

// CORE-17 [TestClientAdvertiseConnectURL]
#[test]
fn clients_are_told_the_advertised_address_or_those_of_the_machine() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        for (config, urls) in [
            ("", ["nats://10.0.0.1:4222"]),
            (
                "client_advertise = \"nats.example.com\"\n",
                ["nats://nats.example.com:4222"],
            ),
            (
                "client_advertise = \"nats.example.com:7777\"\n",
                ["nats://nats.example.com:7777"],
            ),
        ] {
            let broker = sim::start(&world, host(1), config).await;
            assert_eq!(broker.server.client_urls(), urls);
            broker.server.stop().await;
        }
    });
}
