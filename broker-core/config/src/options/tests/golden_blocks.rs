//! Whole files of the kind that the reference's `server/opts_test.go` loads, about listeners and peers.

use super::{check_start, check_texts, config, load};
use crate::convert::Secret;
use crate::load::LoadError;
use crate::options::{Compression, Config, Proxies, RemoteLeafnode, Sampling, TrustedProxy, WriteTimeout};
use crate::report::Severity;
use crate::server_url::ServerUrl;
use crate::source::MapSource;
use crate::tree::Format;
use std::time::Duration;

// CORE-152 [TestDefaultOptions]
#[test]
fn an_empty_configuration_is_the_references_baseline() {
    let config = Config::default();
    assert_eq!(
        (config.host.as_str(), config.port, config.monitor_host()),
        ("0.0.0.0", 4222, "0.0.0.0")
    );
    assert_eq!(config.max_connections, 65_536);
    assert_eq!(
        (config.ping_interval, config.ping_max),
        (Duration::from_secs(120), 2)
    );
    assert_eq!(config.auth_timeout(), Duration::from_secs(2));
    assert_eq!((config.max_control_line, config.max_payload), (4096, 1_048_576));
    assert_eq!(
        (config.max_pending, config.max_closed_clients),
        (67_108_864, 10_000)
    );
    assert_eq!(config.write_deadline, Duration::from_secs(10));
    assert_eq!(
        (config.lame_duck_duration, config.lame_duck_grace_period),
        (Duration::from_secs(120), Duration::from_secs(10))
    );
    assert_eq!(
        (config.connect_error_reports, config.reconnect_error_reports),
        (3600, 1)
    );
    assert_eq!(config.max_traced_msg_len, 0);
    let leafnodes = super::config("leafnodes {}").leafnodes.unwrap();
    assert_eq!(leafnodes.reconnect, Duration::from_secs(1));
    let jetstream = super::config("jetstream {}").jetstream.unwrap();
    assert_eq!(jetstream.limits.default_max_consumers, 1000);
    assert_eq!(
        (jetstream.max_memory_store, jetstream.max_file_store),
        (None, None)
    );
}

/// What the reference's `configs/test.conf` says.
const SIMPLE: &str = "server_name: testing_server
    server_metadata { key1: value1, key2: value2 }
    feature_flags { feature: false, fix: true, revert_fix: true }
    listen: 127.0.0.1:4242
    http: 8222
    http_base_path: /nats
    authorization { user: derek, password: porkchop, timeout: 1 }
    debug: false, trace: true, logtime: false, syslog: true, remote_syslog: \"udp://foo.com:33\"
    pid_file: \"/tmp/nats-server/nats-server.pid\"
    prof_port: 6543
    max_connections: 100, max_subscriptions: 1000, max_pending: 10000000
    max_control_line: 2048, max_payload: 65536
    ping_interval: \"60s\", ping_max: 3, write_deadline: \"3s\", lame_duck_duration: \"4m\"
    connect_error_reports: 86400, reconnect_error_reports: 5";

// CORE-152, CORE-123 [TestConfigFile]
#[test]
fn a_simple_file_gives_what_it_says_and_the_references_digest() {
    let loaded = Config::load_content(SIMPLE.as_bytes(), "a", Format::NatsConf, &MapSource::new()).unwrap();
    let digest = "sha256:f10eacddb9ce83a6bdc79b42c851b9628d49cf8b3c6ba95b1ecf090307504948";
    assert_eq!(loaded.digest, digest);
    let config = loaded.config;
    assert_eq!(config.server_name.as_deref(), Some("testing_server"));
    assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 4242));
    let login = config.authorization.as_ref().unwrap();
    assert_eq!(
        (login.user.as_deref(), login.pass.expose()),
        (Some("derek"), "porkchop")
    );
    assert_eq!(config.auth_timeout(), Duration::from_secs(1));
    assert_eq!(
        (config.debug, config.trace, config.logtime, config.syslog),
        (false, true, false, true)
    );
    assert_eq!(
        (config.http_port, config.http_base_path.as_str()),
        (8222, "/nats")
    );
    assert_eq!(config.remote_syslog.as_deref(), Some("udp://foo.com:33"));
    assert_eq!(
        config.pid_file.as_deref(),
        Some("/tmp/nats-server/nats-server.pid")
    );
    assert_eq!(
        (config.prof_port, config.max_control_line, config.max_payload),
        (6543, 2048, 65536)
    );
    assert_eq!((config.max_connections, config.max_subscriptions), (100, 1000));
    assert_eq!((config.max_pending, config.ping_max), (10_000_000, 3));
    assert_eq!(
        (config.ping_interval, config.write_deadline),
        (Duration::from_secs(60), Duration::from_secs(3))
    );
    assert_eq!(config.lame_duck_duration, Duration::from_secs(240));
    assert_eq!(
        (config.connect_error_reports, config.reconnect_error_reports),
        (86_400, 5)
    );
    assert_eq!(config.server_metadata.len(), 2);
    assert_eq!(config.feature_flags.get("fix"), Some(&true));
}

// CORE-126 [TestListenConfig, TestListenPortOnlyConfig, TestListenPortWithColonConfig, TestDynamicPortOnListen, TestListenMonitoringDefault]
#[test]
fn each_listener_has_the_address_that_it_is_given() {
    let all = config(
        "listen: 10.0.1.22:4422, http: 127.0.0.1:8422, https: 127.0.0.1:9443
         cluster { listen: 127.0.0.1:4244, name: abc }",
    );
    assert_eq!((all.host.as_str(), all.port), ("10.0.1.22", 4422));
    assert_eq!(
        (all.monitor_host(), all.http_port, all.https_port),
        ("127.0.0.1", 8422, 9443)
    );
    let cluster = all.cluster.unwrap();
    assert_eq!((cluster.host.as_str(), cluster.port), ("127.0.0.1", 4244));
    for text in ["listen: 8922", "listen: \":8922\""] {
        let port = config(text);
        assert_eq!(
            (port.host.as_str(), port.monitor_host(), port.port),
            ("0.0.0.0", "0.0.0.0", 8922),
            "{text}"
        );
    }
    let dynamic = config("listen: 10.0.1.22:-1\nhttp: -1\nhttps: :-1");
    assert_eq!(
        (dynamic.port, dynamic.http_port, dynamic.https_port),
        (-1, -1, -1)
    );
    assert_eq!(config("host: 10.0.1.22").monitor_host(), "10.0.1.22");
}

// AUTH-305 [TestTlsPinnedCertificates]
#[test]
fn every_block_has_pins_of_its_own() {
    let tls = "tls { cert_file: a, key_file: b, verify: true, pinned_certs: [
        \"7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069\",
        \"a8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9c32\"] }";
    let read = config(&format!(
        "{tls}
         cluster {{ port: -1, name: hub, {tls} }}
         leafnodes {{ port: -1, {tls} }}
         gateway {{ name: A, port: -1, {tls} }}
         websocket {{ port: -1, {tls} }}
         mqtt {{ port: -1, {tls} }}"
    ));
    let blocks = [
        read.tls,
        read.cluster.unwrap().tls,
        read.leafnodes.unwrap().tls,
        read.gateway.unwrap().tls,
        read.websocket.unwrap().tls,
        read.mqtt.unwrap().tls,
    ];
    for block in blocks {
        assert_eq!(block.unwrap().pinned_certs.len(), 2);
    }
}

// NET 2.1 [TestClusterPermissionsConfig]
#[test]
fn permissions_of_a_cluster_win_over_those_of_its_login() {
    let text = |own: &str| {
        format!(
            "cluster {{ port: 1234, {own}
               authorization {{ user: ivan, password: pwd
                 permissions {{ import {{ allow: foo }}, export {{ allow: bar }} }} }} }}"
        )
    };
    let allowed = |text: &str| {
        let source = MapSource::new();
        let loaded = Config::load_content(text.as_bytes(), "a", Format::NatsConf, &source).unwrap();
        let permissions = loaded.config.cluster.unwrap().permissions.unwrap();
        [permissions.import, permissions.export].map(|rules| rules.allow.unwrap()[0].subject.clone())
    };
    assert_eq!(allowed(&text("")), ["foo", "bar"]);
    let own = "permissions { import { allow: baz }, export { allow: bat } }";
    assert_eq!(allowed(&text(own)), ["baz", "bat"]);
    for wrong in [
        "permissions: foo",
        "permissions { unknown_field: foo }",
        "permissions { import: [1, 2, 3] }",
        "permissions { import { unknown_field: foo } }",
        "permissions { import { allow { x: y } } }",
        "permissions { import { deny { x: y } } }",
        "permissions { export: [1, 2, 3] }",
        "permissions { export { unknown_field: foo } }",
        "permissions { export { allow { x: y } } }",
        "permissions { export { deny { x: y } } }",
    ] {
        for text in [
            format!("cluster {{ port: 1234, {wrong} }}"),
            format!("cluster {{ port: 1234, authorization {{ user: ivan, password: pwd, {wrong} }} }}"),
        ] {
            assert!(load(&text).0.is_none(), "{text}");
        }
    }
}

// AUTH-201, CORE-150 [TestQueueQualifierOnlyAllowedForSubscribePermissions]
#[test]
fn queues_stand_in_permissions_to_subscribe_only() {
    let refused = "subject \"admin.secret workers\" is not a valid subject";
    check_texts(&[
        (
            "authorization { users: [{ user: u, password: p, permissions { publish { deny: [\"admin.secret workers\"] } } }] }",
            refused,
        ),
        (
            "leafnodes { remotes: [{ url: \"nats://127.0.0.1:7422\", deny_imports: [\"admin.secret workers\"] }] }",
            refused,
        ),
        (
            "leafnodes { remotes: [{ url: \"nats://127.0.0.1:7422\", deny_exports: [\"admin.secret workers\"] }] }",
            refused,
        ),
        (
            "cluster { name: C, permissions { export { deny: [\"admin.secret workers\"] } } }",
            "cluster export deny: subject \"admin.secret workers\" is not a valid subject",
        ),
    ]);
    config(
        "authorization { users: [{ user: u, password: p, permissions { subscribe { deny: [\"admin.secret workers\"] } } }] }",
    );
}

// AUTH-700 [TestParseServiceLatency]
#[test]
fn latency_is_a_subject_or_a_table_with_a_sampling() {
    let latency = |text: &str| {
        let text = format!("accounts {{ nats.io {{ exports [{{ service: nats.add, latency: {text} }}] }} }}");
        config(&text).accounts[0].exports[0].latency.clone().unwrap()
    };
    for (text, percent) in [
        ("{ sampling: 100%, subject: latency.tracking.add }", 100),
        ("{ sampling: 33%, subject: latency.tracking.add }", 33),
        ("{ sampling: 87, subject: latency.tracking.add }", 87),
        ("latency.tracking.add", 100),
    ] {
        let read = latency(text);
        assert_eq!(
            (read.subject.as_str(), read.sampling),
            ("latency.tracking.add", Sampling::Percent(percent))
        );
    }
    check_texts(&[(
        "accounts { nats.io { exports [{ service: nats.add, latency: { sampling: 87 } }] } }",
        "Latency subject required, but missing",
    )]);
}

// CORE section 15 [TestParsingLeafNodesListener]
#[test]
fn a_listener_of_leafnodes_is_read() {
    let leaf = config(
        "leafnodes {
           listen: \"127.0.0.1:3333\", host: \"127.0.0.1\", port: 3333, advertise: \"me:22\"
           authorization { user: derek, password: s3cr3t!, timeout: 2.2 }
           tls { cert_file: a, key_file: b, timeout: 3.3 }
         }",
    )
    .leafnodes
    .unwrap();
    assert_eq!(
        (leaf.host.as_str(), leaf.port, leaf.advertise.as_str()),
        ("127.0.0.1", 3333, "me:22")
    );
    let login = &leaf.authorization;
    assert_eq!((login.user.as_str(), login.pass.expose()), ("derek", "s3cr3t!"));
    assert_eq!(login.timeout, Some(Duration::from_millis(2200)));
    assert_eq!(leaf.tls.unwrap().handshake_timeout(), Duration::from_millis(3300));
}

// CORE-126, NET 4.1 [TestLeafnodeAuthorizationTimeoutConfigParsing]
#[test]
fn timeouts_of_logins_are_seconds_or_durations() {
    let timeout = |text: &str| {
        let text = format!("leafnodes {{ authorization {{ timeout: {text} }} }}");
        let read = Config::load_content(text.as_bytes(), "a", Format::NatsConf, &MapSource::new());
        let leafnodes = read.map(|loaded| loaded.config.leafnodes.unwrap());
        leafnodes
            .map(|leaf| leaf.authorization.timeout.unwrap())
            .map_err(|error| error.to_string())
    };
    assert_eq!(timeout("5"), Ok(Duration::from_secs(5)));
    // Not quoted, a million seconds: it warns.
    assert_eq!(timeout("1m"), Ok(Duration::from_secs(1_000_000)));
    assert_eq!(timeout("\"1m\""), Ok(Duration::from_secs(60)));
    assert_eq!(timeout("\"10m5s30ms\""), Ok(Duration::from_millis(605_030)));
    assert_eq!(timeout("0.091"), Ok(Duration::from_millis(91)));
    assert!(
        timeout(".091")
            .unwrap_err()
            .contains("Floats must start with a digit")
    );
    let (_, report) = load("leafnodes { authorization { timeout: 1m } }");
    assert_eq!(report.of(Severity::Warning).len(), 1);
}

// CORE-126 [TestWriteDeadlineConfigParsing, TestWriteTimeoutConfigParsing, TestWebsocketPingIntervalConfig, TestMaxClosedClients]
#[test]
fn each_block_has_a_write_policy_of_its_own() {
    let read = config(
        "write_deadline: 8s, leafnodes { write_deadline: 5s }, gateway { write_deadline: 6s }, cluster { \
         write_deadline: 7s }",
    );
    assert_eq!(read.write_deadline, Duration::from_secs(8));
    assert_eq!(
        read.leafnodes.unwrap().write_deadline,
        Some(Duration::from_secs(5))
    );
    assert_eq!(read.gateway.unwrap().write_deadline, Some(Duration::from_secs(6)));
    assert_eq!(read.cluster.unwrap().write_deadline, Some(Duration::from_secs(7)));
    for (name, policy) in [
        ("default", WriteTimeout::Default),
        ("retry", WriteTimeout::Retry),
        ("close", WriteTimeout::Close),
    ] {
        let read = config(&format!(
            "write_timeout: {name}, leafnodes {{ write_timeout: {name} }}, gateway {{ write_timeout: {name} }}
             cluster {{ write_timeout: {name} }}"
        ));
        let all = [
            read.write_timeout,
            read.leafnodes.unwrap().write_timeout,
            read.gateway.unwrap().write_timeout,
            read.cluster.unwrap().write_timeout,
        ];
        assert_eq!(all, [policy; 4]);
    }
    let ping = |text: &str| {
        config(&format!("websocket {{ port: 8080, {text} }}"))
            .websocket
            .unwrap()
            .ping_interval
    };
    assert_eq!(ping("ping_interval: \"30s\""), Some(Duration::from_secs(30)));
    assert_eq!(ping("ping_interval: \"2m\""), Some(Duration::from_secs(120)));
    assert_eq!(ping(""), None);
    assert_eq!(config("max_closed_clients: 5").max_closed_clients, 5);
}

// NET 1.5 [TestOptionsCompressionEqual]
#[test]
fn compressions_are_equal_when_they_mean_the_same() {
    let made = |mode: &str, milliseconds: &[u64]| Compression {
        mode: mode.to_owned(),
        rtt_thresholds: milliseconds
            .iter()
            .map(|time| Duration::from_millis(*time))
            .collect(),
    };
    assert_ne!(made("s2_fast", &[]), made("s2_best", &[]));
    assert_eq!(made("s2_best", &[]), made("s2_best", &[]));
    assert_eq!(made("s2_auto", &[10, 50, 100]), made("s2_auto", &[]));
    assert_eq!(made("s2_auto", &[]), made("s2_auto", &[10, 50, 100]));
    assert_eq!(made("s2_auto", &[5, 10]), made("s2_auto", &[5, 10]));
    assert_ne!(made("s2_auto", &[5, 10]), made("s2_auto", &[15, 30]));
    assert_ne!(made("s2_auto", &[]), made("s2_auto", &[15, 30]));
    assert_eq!(made("s2_auto", &[]), made("s2_auto", &[]));
}

// NET 4.1 [TestOptionsRemoteLeafNodeName]
#[test]
fn remotes_are_named_by_what_they_are_without_secrets() {
    let urls = [
        "nats://user1:secretpwd@127.0.0.1:7222",
        "nats://user2:secretpwd@127.0.0.1:7222",
    ];
    let remote = |account: &str, credentials: Option<&str>, nkey: &str| RemoteLeafnode {
        urls: urls.iter().map(|url| ServerUrl::parse(url).unwrap()).collect(),
        account: account.to_owned(),
        credentials: credentials.map(str::to_owned),
        nkey: Secret::new(nkey),
        ..RemoteLeafnode::default()
    };
    let shown = "urls=[\"nats://user1:xxxxx@127.0.0.1:7222\" \"nats://user2:xxxxx@127.0.0.1:7222\"]";
    for (remote, rest) in [
        (remote("", None, ""), "account=\"$G\""),
        (remote("A", None, ""), "account=\"A\""),
        (
            remote("A", Some("file"), ""),
            "account=\"A\", credentials=\"file\"",
        ),
        (remote("A", None, "SU.."), "account=\"A\", nkey=\"[REDACTED]\""),
    ] {
        assert_eq!(remote.to_string(), format!("{shown}, {rest}"));
    }
    // Quotes cannot make one remote look like another.
    assert_ne!(
        remote("A", Some("creds"), "").to_string(),
        remote("A\", credentials=\"creds", None, "").to_string()
    );
}

// CORE-127 [TestClusterNameAndGatewayNameConflict]
#[test]
fn a_gateway_has_the_name_of_its_cluster() {
    check_start(&[(
        "listen: 127.0.0.1:-1, cluster { name: A, listen: 127.0.0.1:-1 }, gateway { name: B, listen: 127.0.0.1:-1 }",
        "cluster name conflicts between cluster and gateway definitions",
    )]);
}

// CORE-127, AUTH-11 [TestDefaultAuthTimeout]
#[test]
fn a_login_has_a_second_more_than_the_handshake() {
    assert_eq!(config("port: -1").auth_timeout(), Duration::from_secs(2));
    let with_tls = config("tls { cert_file: a, key_file: b, ca_file: c, timeout: 4 }");
    assert_eq!(with_tls.auth_timeout(), Duration::from_secs(5));
}

// CORE-124 [TestConfigCheckMultipleErrors, TestProcessConfigString]
#[test]
fn one_run_tells_all_errors_with_warnings_first() {
    let text =
        "\nwrite_deadline: 1\nfoo: 2\ncluster {\n  name: \"a b\"\n  bar: 3\n}\naccounts: [A, A]\nport: x\n";
    let error = Config::load_content(text.as_bytes(), "a", Format::NatsConf, &MapSource::new()).unwrap_err();
    assert!(matches!(error, LoadError::Invalid(_)));
    assert_eq!(
        error.to_string(),
        "a:2:1: invalid use of field \"write_deadline\": write_deadline should be converted to a duration\n\
         a:3:1: unknown field \"foo\"\n\
         a:5:3: cluster name cannot contain spaces\n\
         a:6:3: unknown field \"bar\"\n\
         a:8:15: Duplicate Account Entry: A\n\
         a:9:1: interface conversion: interface {} is string, not int64\n"
    );
}

// AUTH-1400 [TestOptionsProxyTrustedKeys]
#[test]
fn proxies_that_a_program_trusts_have_keys() {
    let trusting = |keys: &[&str]| Config {
        proxies: Some(Proxies {
            trusted: keys
                .iter()
                .map(|key| TrustedProxy {
                    key: (*key).to_owned(),
                })
                .collect(),
        }),
        ..Config::default()
    };
    let good = [
        "UCARKS2E3KVB7YORL2DG34XLT7PUCOL2SVM7YXV6ETHLW6Z46UUJ2VZ3",
        "UD6AYQSOIN2IN5OGC6VQZCR4H3UFMIOXSW6NNS6N53CLJA4PB56CEJJI",
    ];
    assert_eq!(trusting(&good).validate(), Ok(()));
    let failed = trusting(&[good[0], "bad1", good[1], "bad2"])
        .validate()
        .unwrap_err();
    assert_eq!(failed.to_string(), "proxy trusted key \"bad1\" is invalid");
}

// AUTH-6 [TestAuthorizationAndAccountsMisconfigurations]
#[test]
fn logins_of_authorization_and_accounts_do_not_clash() {
    const KEY: &str = "UC6NLCN7AS34YOJVCYD4PJ3QB7QGLYG5B5IMBT25VW5K4TNUJODM7BOX";
    let user = "accounts { ACC { users: [{ user: user2, pass: pwd }] } }";
    let nkey = format!("accounts {{ ACC {{ users: [{{ nkey: {KEY} }}] }} }}");
    let single = "authorization { user: user1, password: pwd }";
    let token = "authorization { token: my_token }";
    for (text, expected) in [
        (
            "authorization { users: [{ user: user2, pass: pwd }] }".to_owned() + user,
            "Duplicate user \"user2\" detected".to_owned(),
        ),
        (
            format!("authorization {{ users: [{{ nkey: {KEY} }}] }} {nkey}"),
            format!("Duplicate nkey \"{KEY}\" detected"),
        ),
        (
            format!("{single} {user}"),
            "Can not have a single user/pass and accounts".to_owned(),
        ),
        (
            format!("{single} {nkey}"),
            "Can not have a single user/pass and accounts".to_owned(),
        ),
        (
            format!("{token} {user}"),
            "Can not have a token and accounts".to_owned(),
        ),
        (
            format!("{token} {nkey}"),
            "Can not have a token and accounts".to_owned(),
        ),
    ] {
        check_texts(&[(
            &text
                .replace("} accounts", "}\naccounts")
                .replace("}accounts", "}\naccounts"),
            &expected,
        )]);
    }
}
