//! Logins against whole brokers, where a script cannot tell: nonces, log lines, waiting for bcrypt.

use std::net::SocketAddr;

use dunlin_net::sim::SimWorld;

use crate::sim::{self, Broker, Client, PORT, host};

const NKEY: &str = "UANDPXCSLZIKN2UCA72DSR4CBQ7LKN4XXMDDYDXO22DZHXRUKAY2KJW4";

async fn greeted(world: &SimWorld, broker: &Broker) -> (Client, String) {
    let mut client = Client::connect(world, host(9), SocketAddr::new(broker.ip, PORT)).await;
    let info = client.expect("\r\n").await;
    (client, info)
}

fn nonce(info: &str) -> Option<&str> {
    let (_, after) = info.split_once("\"nonce\":\"")?;
    after.split_once('"').map(|(nonce, _)| nonce)
}

// AUTH-3 [TestServerInfoNonce]
#[test]
fn a_nonce_is_sent_where_somebody_signs_and_is_new_each_time() {
    sim::run(|| async {
        let world = SimWorld::new(1);
        let keyed = format!("[[authorization.users]]\nnkey = \"{NKEY}\"");
        let broker = sim::start(&world, host(1), &keyed).await;
        let (_first, one) = greeted(&world, &broker).await;
        let (_second, other) = greeted(&world, &broker).await;
        let (one, other) = (nonce(&one).unwrap(), nonce(&other).unwrap());
        assert_eq!((one.len(), other.len()), (15, 15));
        assert_ne!(one, other);
        let broker = sim::start(&world, host(2), "").await;
        let (_client, info) = greeted(&world, &broker).await;
        assert_eq!(nonce(&info), None, "{info}");
    });
}

// AUTH-105, AUTH-1400 [TestAuthProxyRequired]: the log says what the peer does not learn.
#[test]
fn the_log_says_why_a_proxied_login_failed() {
    sim::run(|| async {
        let world = SimWorld::new(1);
        let config = format!(
            "proxies {{ trusted: [ {{key: {NKEY}}} ] }}
             authorization {{ user: user, password: pwd, proxy_required: true }}"
        );
        let (broker, lines) = sim::start_logged(&world, host(1), &config).await;
        for (proxy, reason) in [("", "proxy connection required"), ("x", "proxy is not trusted")] {
            let (mut client, _) = greeted(&world, &broker).await;
            let connect =
                format!("CONNECT {{\"user\":\"user\",\"pass\":\"pwd\",\"proxy_sig\":\"{proxy}\"}}\r\n");
            client.send(&connect).await;
            assert_eq!(client.expect_end().await, "-ERR 'Authorization Violation'\r\n");
            let lines = lines.take();
            for expected in [reason, "authentication error - User \"user\""] {
                assert!(
                    lines.iter().any(|line| line.contains(expected)),
                    "{expected}: {lines:#?}"
                );
            }
        }
    });
}
