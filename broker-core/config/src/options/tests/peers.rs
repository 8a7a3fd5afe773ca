//! `cluster`, `gateway` and `leafnodes`.

use super::{check_errors, check_start, config};
use crate::MapSource;
use crate::options::{CompressionMode, WriteTimeout, expand_path};
use std::time::Duration;

// CORE section 15, NET 2.1 [TestRouteConfig, TestClusterConfig*]
#[test]
fn all_keys_of_a_cluster_are_read() {
    let cluster = config(
        "cluster {
           name: east, listen: \"127.0.0.1:4244\", net: \"::1\"
           authorization { user: route, password: top, timeout: 1 }
           permissions { import: { allow: foo }, export: { allow: [bar, baz], deny: x } }
           routes = [\"nats-route://foo:bar@apcera.me:4245\", nats://host]
           advertise: me, no_advertise: true, connect_retries: 2, connect_backoff: true
           pool_size: 5, accounts: [A, B], compression: { mode: s2_auto, rtts: [\"1ms\", \"0s\", \"5ms\"] }
           ping_interval: \"10s\", ping_max: 4, write_deadline: \"3s\", write_timeout: close
         }",
    )
    .cluster
    .unwrap();
    assert_eq!(
        (cluster.name.as_str(), cluster.host.as_str(), cluster.port),
        ("east", "::1", 4244)
    );
    let login = cluster.authorization.unwrap();
    assert_eq!((login.user.as_str(), login.pass.expose()), ("route", "top"));
    assert_eq!(login.timeout, Some(Duration::from_secs(1)));
    let permissions = cluster.permissions.unwrap();
    assert_eq!(permissions.export.allow.unwrap().len(), 2);
    assert_eq!(permissions.export.deny.len(), 1);
    assert_eq!(
        cluster.routes[0].to_string(),
        "nats-route://foo:xxxxx@apcera.me:4245"
    );
    assert_eq!((cluster.pool_size, cluster.accounts.len()), (Some(5), 2));
    assert_eq!(
        cluster.compression.chosen(CompressionMode::S2Fast),
        Ok(Some(CompressionMode::S2Auto(vec![
            Duration::from_millis(1),
            Duration::ZERO,
            Duration::from_millis(5)
        ])))
    );
    assert_eq!(
        (cluster.ping_max, cluster.write_timeout),
        (Some(4), WriteTimeout::Close)
    );
}

// CORE section 15 [TestMalformedClusterAddress, TestClusterPermissionsConfig, TestParseWriteDeadline]
#[test]
fn errors_of_clusters_are_the_references() {
    check_errors(&[
        ("cluster: 1", "Expected map to define cluster, got int64"),
        ("cluster { x: 1 }", "unknown field \"x\""),
        (
            "cluster { listen: \"a\" }",
            "could not parse address string \"a\"",
        ),
        ("cluster { name: \"a b\" }", "cluster name cannot contain spaces"),
        ("cluster { name: _ }", "cluster name is reserved"),
        (
            "cluster { authorization { users: [] } }",
            "Cluster authorization does not allow multiple users",
        ),
        (
            "cluster { authorization { token: x } }",
            "Cluster authorization does not support tokens",
        ),
        (
            "cluster { routes: [\"1.2.3.4:5\"] }",
            "error parsing route url [\"1.2.3.4:5\"]",
        ),
        (
            "cluster { routes: [\"nats://a:1\", \"nats://a:1\"] }",
            "invalid use of field \"nats://a:1\": Duplicate route entry detected",
        ),
        (
            "cluster { permissions { allow_responses: true } }",
            "Cluster permissions do not support dynamic responses",
        ),
        (
            "cluster { permissions { export: \"a q\" } }",
            "cluster export allow: subject \"a q\" is not a valid subject",
        ),
        (
            "cluster { authorization { user: a, pass: b, permissions { import: a } } }",
            "invalid use of field \"authorization\": setting \"permissions\" within cluster authorization block is \
             deprecated",
        ),
        (
            "cluster { compression: 1 }",
            "field \"compression\" should be a boolean or a structure, got int64",
        ),
        (
            "cluster { compression { rtts: [x] } }",
            "time: invalid duration \"x\"",
        ),
        (
            "cluster { ping_interval: \"31s\" }",
            "Cluster 'ping_interval' will reset to 30s which is the max for routes",
        ),
        (
            "cluster { write_timeout: Close }",
            "write_timeout must be 'default', 'close' or 'retry'",
        ),
        (
            "cluster { accounts: 1 }",
            "error parsing accounts: unsupported type int64",
        ),
    ]);
}

// CORE-127: found at start, not by `-t` [TestClusterNameAndGatewayNameConflict, TestServerClusterAndGatewayNameNoSpace]
#[test]
fn blocks_of_peers_are_checked_at_start() {
    check_start(&[
        ("cluster { compression: x }", "unsupported compression mode \"x\""),
        (
            "cluster { compression { mode: auto, rtts: [\"5ms\", \"1ms\"] } }",
            "RTT threshold values [5ms 1ms] should be in ascending order",
        ),
        (
            "cluster { compression { mode: auto, rtts: [\"1s\", \"2s\", \"3s\", \"4s\", \"5s\"] } }",
            "compression mode \"auto\" should have no more than 4 RTT thresholds: [1s 2s 3s 4s 5s]",
        ),
        (
            "cluster { compression { mode: auto, rtts: [\"0s\"] } }",
            "compression mode \"auto\" requires at least one RTT threshold",
        ),
        (
            "cluster { pool_size: -1, accounts: [A] }",
            "pool_size cannot be negative if pinned accounts are specified",
        ),
        (
            "cluster { accounts: [A, B, A] }",
            "found duplicate account name \"A\" in pinned accounts list [\"A\" \"B\" \"A\"]",
        ),
        (
            "cluster { name: a, port: -1 }, gateway { name: b, port: -1 }",
            "cluster name conflicts between cluster and gateway definitions",
        ),
        ("gateway { port: 1 }", "gateway has no name"),
        (
            "gateway { name: a }",
            "gateway \"a\" has no port specified (select -1 for random port)",
        ),
        (
            "gateway { name: a, port: 1, gateways: [{ url: \"nats://b\" }] }",
            "gateway in the list 0 has no name",
        ),
        (
            "gateway { name: a, port: 1, gateways: [{ name: b }] }",
            "gateway \"b\" has no URL",
        ),
        (
            "leafnodes { remotes: [{ url: [\"ws://a\", \"nats://b\"] }] }",
            "remote leaf node configuration cannot have a mix of websocket and non-websocket urls: [\"ws://a:7422\" \
             \"nats://b:7422\"]",
        ),
        (
            "leafnodes { remotes: [{ url: \"nats://b\", account: X }] }",
            "cannot find local account \"X\" specified in leafnode remote",
        ),
        (
            "leafnodes { authorization { user: a, account: X } }",
            "cannot find local account \"X\" specified in leafnode authorization",
        ),
        (
            "leafnodes { port: 1 }, gateway { name: a, port: 1 }",
            "leaf nodes and gateways (both being defined) require a system account to also be configured",
        ),
    ]);
    for name in [
        "on",
        "off",
        "accept",
        "s2_fast",
        "better",
        "S2_BEST",
        "\"not supported\"",
    ] {
        let text = format!("cluster {{ compression: {name} }}, leafnodes {{ compression: {name} }}");
        assert_eq!(config(&text).validate(), Ok(()), "{name}");
    }
}

// CORE section 15, NET 3.1 [TestParsingGateways]
#[test]
fn gateways_are_read() {
    let gateway = config(
        "gateway {
           name: A, listen: \"127.0.0.1:4444\", advertise: me, connect_retries: 3, reject_unknown: true
           authorization { user: ivan, password: pwd, timeout: 2 }
           tls { cert_file: a, key_file: b, timeout: 3 }
           gateways: [
             { name: B, urls: [\"nats://a:1\", \"nats://b:2\"], tls { cert_file: c, key_file: d } }
             { name: C, url: \"nats://c:3\" }
           ]
         }",
    )
    .gateway
    .unwrap();
    assert!(gateway.reject_unknown_cluster);
    assert_eq!((gateway.port, gateway.gateways[0].urls.len()), (4444, 2));
    assert_eq!(gateway.gateways[1].urls[0].port, Some(3));
    let login = gateway.authorization.unwrap();
    assert_eq!(
        (login.user.as_str(), login.timeout),
        ("ivan", Some(Duration::from_secs(2)))
    );
    assert_eq!(gateway.tls.unwrap().handshake_timeout(), Duration::from_secs(3));
    let of_b = gateway.gateways[0].tls.as_ref().unwrap();
    assert_eq!(of_b.cert_file.as_deref(), Some("c"));
    check_errors(&[
        ("gateway: x", "Expected gateway to be a map, got string"),
        ("gateway { name: \"a b\" }", "gateway name cannot contain spaces"),
        (
            "gateway { gateways: {} }",
            "Expected gateways field to be an array, got map[string]interface {}",
        ),
        (
            "gateway { gateways: [x] }",
            "Expected gateway entry to be a map/struct, got x",
        ),
        (
            "gateway { authorization { users: [] } }",
            "Gateway authorization does not allow multiple users",
        ),
        (
            "gateway { authorization { token: x } }",
            "Gateway authorization does not support tokens",
        ),
        (
            "gateway { gateways: [{ url: \"1:2\" }] }",
            "error parsing gateway url [\"1:2\"]",
        ),
    ]);
}

const SEED: &str = "SUAA5D7RQRR3BZFSXIUXANDU6BSKY2HXAD23AKZ5YZTPIW66VIWMV3LF6Y";

// CORE section 15, NET 4.1 [TestParsingLeafNodesListener, TestParsingLeafNodeRemotes, TestParsingLeafNodeRemotes*]
#[test]
fn leafnodes_are_read() {
    let leaf = config(&format!(
        "leaf {{
           listen: \"127.0.0.1:3333\", advertise: me, min_version: 2.9.1, reconnect_interval: \"5s\", isolate: true
           authorization {{ user: derek, password: s3cr3t!, timeout: 2.2, account: \"$SYS\" }}
           remotes = [
             {{ url: \"nats-leaf://derek:pw@127.0.0.1:2222\", account: \"$G\", hub: true, nkey: {SEED} }}
             {{ urls: [\"ws://a\"], creds: \"~/x.creds\", deny_imports: [a, \"b.>\"], ws_compression: true
                js_cluster_migrate: {{ leader_migrate_delay: \"30s\" }}, dont_randomize: true, disabled: true
                proxy {{ url: \"http://p:8080\", username: u, password: p, timeout: \"3s\" }} }}
           ]
         }}"
    ))
    .leafnodes
    .unwrap();
    assert_eq!((leaf.port, leaf.reconnect), (3333, Duration::from_secs(5)));
    assert_eq!(leaf.min_version.as_deref(), Some("2.9.1"));
    assert_eq!(leaf.authorization.timeout, Some(Duration::from_millis(2200)));
    let [first, second] = &leaf.remotes[..] else {
        panic!("two remotes")
    };
    assert!(first.hub && first.nkey.expose() == SEED);
    assert_eq!(first.urls[0].user, "derek");
    assert_eq!(
        (second.deny_imports.len(), second.no_randomize, second.disabled),
        (2, true, true)
    );
    let delay = second.jetstream_cluster_migrate.unwrap().leader_migrate_delay;
    assert_eq!(delay, Some(Duration::from_secs(30)));
    assert_eq!(second.proxy.as_ref().unwrap().username, "u");
}

// CORE section 15 [TestLeafNodeConfigErrors]
#[test]
fn errors_of_leafnodes_are_the_references() {
    check_errors(&[
        ("leafnodes: 1", "Expected map to define a leafnode, got int64"),
        (
            "leafnodes { min_version: 2.7.9 }",
            "the minimum version should be at least 2.8.0",
        ),
        (
            "leafnodes { min_version: abc }",
            "invalid leafnode's minimum version: invalid semver",
        ),
        (
            "leafnodes { remotes: {} }",
            "Expected remotes field to be an array, got map[string]interface {}",
        ),
        (
            "leafnodes { remotes: [1] }",
            "Expected remote leafnode entry to be a map/struct, got 1",
        ),
        (
            "leafnodes { remotes: [{ url: 1 }] }",
            "Expected remote leafnode url to be an array or string, got 1",
        ),
        (
            "leafnodes { remotes: [{ url: \"nats://a\" }, { url: \"nats://a\" }] }",
            "duplicate remote urls=[\"nats://a\"], account=\"$G\"",
        ),
        (
            "leafnodes { remotes: [{ url: \"nats://a\", nkey: SUX }] }",
            "Remote leafnode nkey is not a valid seed: \"[REDACTED]\"",
        ),
        (
            "leafnodes { remotes: [{ url: \"nats://a\", creds: a, nkey: \
             SUAA5D7RQRR3BZFSXIUXANDU6BSKY2HXAD23AKZ5YZTPIW66VIWMV3LF6Y }] }",
            "Remote leafnode can not have both creds and nkey defined",
        ),
        (
            "leafnodes { remotes: [{ js_cluster_migrate: 1 }] }",
            "Expected boolean or map for jetstream_cluster_migrate, got int64",
        ),
        (
            "leafnodes { remotes: [{ proxy: 1 }] }",
            "Expected proxy to be a map, got int64",
        ),
        (
            "leafnodes { remotes: [{ proxy { username: a } }] }",
            "proxy URL must be specified when other proxy options are set",
        ),
        (
            "leafnodes { remotes: [{ proxy { url: \"ftp://a\" } }] }",
            "proxy URL scheme must be http or https, got: ftp",
        ),
        (
            "leafnodes { remotes: [{ proxy { url: \"http://a\", username: b } }] }",
            "proxy username and password must both be specified or both be empty",
        ),
        (
            "leafnodes { remotes: [{ proxy { url: \"https://a\", tls { verify: true } } }] }",
            "\"verify\" is not supported for proxy TLS",
        ),
        (
            "leafnodes { authorization { nkey: x } }",
            "Not a valid public nkey for leafnode authorization",
        ),
        (
            "leafnodes { authorization { user: a, users: [{ user: b }] } }",
            "can not have a single user/pass and a users array",
        ),
        (
            "leafnodes { authorization { users: [{ user: b }, { user: b }] } }",
            "duplicate user \"b\" detected in leafnode authorization",
        ),
        (
            "leafnodes { authorization { timeout: true } }",
            "error parsing leafnode authorization config, 'timeout' wrong type",
        ),
        (
            "leafnodes { remotes: [{ deny_imports: \"a b\" }] }",
            "subject \"a b\" is not a valid subject",
        ),
    ]);
}

// CORE-151 [TestExpandPath]
#[test]
fn paths_of_credentials_expand_home_and_variables() {
    let source = MapSource::new().variable("HOME", "/h/x").variable("DIR", "keys");
    let check = |path: &str, expected: &str| {
        assert_eq!(expand_path(path, &source).as_deref(), Ok(expected), "{path}");
    };
    check("/foo/bar", "/foo/bar");
    check("~/test", "/h/x/test");
    check("$HOME/test", "/h/x/test");
    check("${HOME}/$DIR/a.creds", "/h/x/keys/a.creds");
    check("$NONE/a", "/a");
    check("a~b", "a~b");
    assert_eq!(
        expand_path("~/a", &MapSource::new()),
        Err("failed to get home dir, require $HOME".to_owned())
    );
}
