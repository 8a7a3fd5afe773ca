//! Users whom a certificate names: the static provider's decision from the names that a TLS session shows.

use std::sync::Arc;

use dunlin_api::config::{Config, Format, MapSource};
use dunlin_api::{
    AuthProvider as _, CertificateNames, Component as _, ConnectionType, Denied, DistinguishedName, Logger,
    LoginAttempt, NoOptions, Secret, Setup, TlsPeer,
};
use dunlin_net::sim::{SimWorld, sim_env};
use dunlin_static_auth::StaticAuth;

use ConnectionType::{Leafnode, Mqtt, Standard, Websocket};

const MAPS: &str = "tls { cert_file: c, key_file: k, ca_file: a, verify_and_map: true }";

/// The user that gets in under `conf`.
async fn decide(conf: &str, attempt: LoginAttempt) -> Result<String, Denied> {
    let env = sim_env(1, SimWorld::new(1).host([10, 0, 0, 1].into()), Logger::silent());
    let loaded = Config::load_content(conf.as_bytes(), "c", Format::NatsConf, &MapSource::new())
        .unwrap_or_else(|error| panic!("{conf}: {error}"));
    let setup = Setup {
        env: &env,
        config: &loaded.config,
    };
    let provider = StaticAuth::open(NoOptions {}, &setup).unwrap_or_else(|error| panic!("{conf}: {error}"));
    provider.decide(&attempt).await.map(|login| login.user)
}

fn attempt(kind: ConnectionType, user: &str, password: &str) -> LoginAttempt {
    let mut attempt = LoginAttempt::anonymous(([127, 0, 0, 1], 1).into(), kind);
    attempt.credentials.user = user.to_owned();
    attempt.credentials.password = Secret::new(password);
    attempt
}

fn with(names: CertificateNames, mut attempt: LoginAttempt) -> LoginAttempt {
    attempt.tls = Some(Arc::new(TlsPeer {
        names,
        ..TlsPeer::default()
    }));
    attempt
}

fn users(list: &str) -> String {
    format!("{MAPS}; authorization {{ users [ {list} ] }}")
}

/// A certificate with a name of each kind.
fn certificate() -> CertificateNames {
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    CertificateNames {
        emails: strings(&["ann@example.com"]),
        dns: strings(&["a.example.com", "b.example.com"]),
        uris: strings(&["spiffe://localhost/ann"]),
        subject: DistinguishedName::parse("CN=ann,OU=NATS,DC=example").ok(),
        subject_text: "CN=ann,OU=NATS".to_owned(),
        domain_components: "DC=example".to_owned(),
    }
}

// AUTH-308 [TestTLSClientCertificateHasUserID, TestTLSClientCertificateSANsBasedAuth, TestTLSClientAuthWithRDNSequence]
#[tokio::test(start_paused = true)]
async fn the_first_name_that_a_user_has_counts() {
    let order = [
        "ann@example.com",
        "a.example.com",
        "b.example.com",
        "spiffe://localhost/ann",
        "CN=ann,OU=NATS,DC=example",
        "DC=example,CN=ann,OU=NATS",
        "CN=ann,OU=NATS",
    ];
    for first in 0..order.len() {
        // Later names stand first in the file, which does not count.
        let list: Vec<_> = order[first..]
            .iter()
            .rev()
            .map(|name| format!("{{user: \"{name}\"}}"))
            .collect();
        let decision = decide(
            &users(&list.join(", ")),
            with(certificate(), attempt(Standard, "", "")),
        )
        .await;
        assert_eq!(decision, Ok(format!("user:{}", order[first])));
    }
    let nobody = decide(
        &users("{user: other}"),
        with(certificate(), attempt(Standard, "other", "")),
    )
    .await;
    assert_eq!(nobody, Err(Denied::Credentials));
    let nameless = with(CertificateNames::default(), attempt(Standard, "", ""));
    assert_eq!(
        decide(&users("{user: \"\\\"\"}"), nameless).await,
        Err(Denied::Credentials)
    );
}

// AUTH-103 [TestAuthCertMappedUserWithPassword]
#[tokio::test(start_paused = true)]
async fn the_password_of_a_named_user_still_counts_and_its_name_in_connect_does_not() {
    let conf = users("{user: a.example.com, pass: secret}, {user: other, pass: p}");
    for (user, password, is_good) in [
        ("", "secret", true),
        ("other", "secret", true),
        ("", "", false),
        ("other", "p", false),
    ] {
        let decision = decide(&conf, with(certificate(), attempt(Standard, user, password))).await;
        let expected = if is_good {
            Ok("user:a.example.com".to_owned())
        } else {
            Err(Denied::Credentials)
        };
        assert_eq!(decision, expected, "{user} {password}");
    }
    // Without a certificate nobody is named, a stand-in neither.
    let stand_in = format!("no_auth_user: other; {conf}");
    assert_eq!(
        decide(&stand_in, attempt(Standard, "other", "p")).await,
        Err(Denied::Credentials)
    );
    assert_eq!(
        decide(&stand_in, attempt(Standard, "", "")).await,
        Err(Denied::Credentials)
    );
}

// AUTH-309 [TestTLSClientCertificateCheckWithAllowedConnectionTypes]
#[tokio::test(start_paused = true)]
async fn a_named_user_of_another_kind_of_connection_is_skipped() {
    let conf = users("{user: a.example.com, clients: MQTT}, {user: b.example.com, clients: STANDARD}");
    let decision = decide(&conf, with(certificate(), attempt(Standard, "", ""))).await;
    assert_eq!(decision, Ok("user:b.example.com".to_owned()));
}

// AUTH-104 [TestAuthCertMappedUserNotPasswordAuthenticatable, TestAuthNoAuthUserWithoutPasswordAndCertMapping]
#[tokio::test(start_paused = true)]
async fn a_user_without_password_whom_a_certificate_could_name_cannot_log_in_by_name() {
    let conf = users("{user: cert}, {user: guest}, {user: locked, pass: p}");
    for (user, password) in [("cert", ""), ("cert", "wrong"), ("nobody", ""), ("", "")] {
        for kind in [Websocket, Mqtt, Leafnode] {
            let decision = decide(&conf, attempt(kind, user, password)).await;
            assert_eq!(decision, Err(Denied::Credentials), "{user} {password} {kind:?}");
        }
    }
    assert!(decide(&conf, attempt(Websocket, "locked", "p")).await.is_ok());
    let stand_in = format!("no_auth_user: guest; {conf}");
    for user in ["guest", ""] {
        let decision = decide(&stand_in, attempt(Websocket, user, "")).await;
        assert_eq!(decision, Ok("user:guest".to_owned()), "{user:?}");
    }
}

// AUTH-104 [TestAuthCertMappedUserConnectionTypeScope, TestAuthCertMappedUserOnOtherListeners,
// TestAuthCertMappedUserOverWebsocketTransport, TestAuthCertMappedLeafNodeUsersScope]
#[tokio::test(start_paused = true)]
async fn only_a_listener_that_could_name_the_user_asks_for_its_certificate() {
    let maps = MAPS.strip_prefix("tls ").expect("a block");
    let asks = "{ cert_file: c, key_file: k, ca_file: a, verify: true }";
    let websocket = "websocket { port: 1, no_tls: true }";
    let asking = format!("websocket {{ port: 1, tls {asks} }}");
    let mqtt = format!("mqtt {{ port: 2, tls {maps} }}");
    let leafnodes = format!("leafnodes {{ port: 3, tls {maps} }}");
    let own_users = format!("leafnodes {{ port: 3, tls {maps}, authorization {{ users: [{{user: x}}] }} }}");
    let closed = format!("mqtt {{ tls {maps} }}");
    for (listeners, types, kind, is_good) in [
        (MAPS.to_owned(), "STANDARD, WEBSOCKET", Websocket, false),
        (MAPS.to_owned(), "WEBSOCKET", Websocket, true),
        (MAPS.to_owned(), "MQTT, WEBSOCKET", Websocket, true),
        (
            format!("{mqtt}; {websocket}"),
            "STANDARD, MQTT_WS",
            Standard,
            true,
        ),
        (format!("{mqtt}; {asking}"), "STANDARD, MQTT_WS", Standard, false),
        (format!("{mqtt}; {websocket}"), "STANDARD, MQTT", Standard, false),
        (closed, "STANDARD, MQTT", Standard, true),
        (
            format!("{leafnodes}; {websocket}"),
            "STANDARD, LEAFNODE_WS",
            Standard,
            true,
        ),
        (
            format!("{leafnodes}; {asking}"),
            "STANDARD, LEAFNODE_WS",
            Standard,
            false,
        ),
        (
            format!("{leafnodes}; {websocket}"),
            "STANDARD, LEAFNODE",
            Standard,
            false,
        ),
        (own_users, "STANDARD, LEAFNODE", Standard, true),
    ] {
        let conf = format!("{listeners}; authorization {{ users [ {{user: u, clients: [{types}]}} ] }}");
        let decision = decide(&conf, attempt(kind, "u", "")).await;
        assert_eq!(decision.is_ok(), is_good, "{conf}");
    }
}
