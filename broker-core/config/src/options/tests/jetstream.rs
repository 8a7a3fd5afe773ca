//! `jetstream`, of the server and of accounts.

use super::{check_errors, check_start, config};
use crate::convert::ByteSize;
use crate::options::{ClusterTraffic, StoreCipher, SyncInterval};
use std::time::Duration;

// CORE section 15 [TestJetStreamConfig*, TestMetadataMaxCompactDefaults]
#[test]
fn jetstream_is_a_switch_or_a_table() {
    for (text, enabled) in [
        ("true", true),
        ("enabled", true),
        ("Enable", true),
        ("disabled", false),
        ("{}", true),
        ("{ enable: false }", false),
    ] {
        let read = config(&format!("jetstream: {text}")).jetstream.unwrap();
        assert_eq!(read.enabled, enabled, "{text}");
    }
    let read = config(
        "jetstream {
           store_dir: \"/x\", sync: always, max_mem: 1G, max_file_store: \"4T\", domain: d, ek: secret, prev_ek: old
           cipher: aes, unique_tag: \" AZ: \", extension_hint: will_extend, max_outstanding_catchup: 64MB
           limits { max_ack_pending: 10, duplicate_window: \"5m\", batch { max_msgs: 3, timeout: \"1s\" } }
           tpm { keys_file: k, pcr: 22, cipher: chacha }
           max_buffered_size: 1, max_buffered_msgs: 2, request_queue_limit: 3, info_queue_limit: 4
           meta_compact: 5, meta_compact_size: \"1M\", meta_compact_sync: true, max_concurrent_io: 8, strict: false
         }",
    )
    .jetstream
    .unwrap();
    assert_eq!(read.sync_interval, Some(SyncInterval::Always));
    assert_eq!(read.max_memory_store, Some(ByteSize(1_000_000_000)));
    assert_eq!(read.max_file_store, Some(ByteSize(4 << 40)));
    assert_eq!(
        (read.cipher, read.unique_tag.as_str()),
        (Some(StoreCipher::Aes), "az:")
    );
    assert_eq!(
        (read.limits.max_ack_pending, read.limits.default_max_consumers),
        (Some(10), 1000)
    );
    assert_eq!(read.limits.duplicate_window, Some(Duration::from_secs(300)));
    assert_eq!(read.limits.batch.timeout, Some(Duration::from_secs(1)));
    assert_eq!(read.tpm.unwrap().pcr, 22);
    assert_eq!(
        (read.meta_compact_size, read.max_concurrent_io, read.strict),
        (ByteSize(1 << 20), Some(8), false)
    );
}

// CORE section 15
#[test]
fn errors_of_jetstream_are_the_references() {
    check_errors(&[
        (
            "jetstream: x",
            "Expected 'enabled' or 'disabled' for string value, got 'x'",
        ),
        (
            "jetstream: 1",
            "Expected map, bool or string to define JetStream, got int64",
        ),
        ("jetstream { x: 1 }", "unknown field \"x\""),
        (
            "jetstream { strict: 1 }",
            "Expected 'true' or 'false' for bool value, got '1'",
        ),
        (
            "jetstream { max_mem: \"1X\" }",
            "max_mem_store sizes defined as strings must end in K, M, G, T",
        ),
        (
            "jetstream { max_file: true }",
            "max_file_store must be int64 or string",
        ),
        ("jetstream { cipher: rot13 }", "Unknown cipher type: \"rot13\""),
        (
            "jetstream { limits: 1 }",
            "Expected a map to define JetStreamLimits, got int64",
        ),
        (
            "jetstream { limits { batch: 1 } }",
            "Expected a map to define batch limits, got int64",
        ),
        (
            "jetstream { limits { duplicate_window: x } }",
            "time: invalid duration \"x\"",
        ),
        (
            "jetstream { max_buffered_msgs: x }",
            "Expected a parseable size for \"max_buffered_msgs\", got x",
        ),
        (
            "jetstream { meta_compact: -1 }",
            "Expected an absolute size for \"meta_compact\", got -1",
        ),
        (
            "jetstream { max_concurrent_io: 3 }",
            "Expected an absolute size for \"max_concurrent_io\" between 4 and 8192, got 3",
        ),
        (
            "store_dir: a; jetstream { store: b }",
            "Duplicate 'store_dir' configuration",
        ),
        (
            "jetstream { store_dir: a }; storedir: b",
            "Duplicate 'store_dir' configuration",
        ),
        (
            "accounts { A { jetstream { max_mem: x } } }",
            "Expected a parseable size for \"max_mem\", got x",
        ),
        (
            "accounts { A { jetstream { max_bytes: x } } }",
            "Expected a parseable bool for \"max_bytes\", got x",
        ),
        (
            "accounts { A { jetstream { cluster_traffic: x } } }",
            "Expected 'system' or 'owner' string value for \"cluster_traffic\", got x",
        ),
        (
            "accounts { A { jetstream { cluster_traffic: 1 } } }",
            "Expected either 'system' or 'owner' string value for \"cluster_traffic\", got 1",
        ),
        (
            "accounts { A { jetstream: x } }",
            "Expected 'enabled' or 'disabled' for string value, got 'x'",
        ),
    ]);
}

// CORE section 15, AUTH-1500
#[test]
fn accounts_have_limits_of_their_own() {
    let read = config(
        "accounts {
           A { jetstream { max_mem: 1M, max_streams: 2, max_bytes: true, cluster_traffic: owner } }
           B { jetstream: enabled }
           C { jetstream: disabled }
         }",
    );
    let limits = read.accounts[0].jetstream.clone().unwrap();
    assert_eq!(
        (limits.max_memory, limits.max_streams, limits.max_store),
        (Some(1_000_000), Some(2), None)
    );
    assert!(limits.max_bytes_required);
    assert_eq!(limits.cluster_traffic, ClusterTraffic::Owner);
    assert!(read.accounts[1].jetstream.is_some() && read.accounts[2].jetstream.is_none());
}

// CORE-127 [TestJetStreamClusterConfig]
#[test]
fn jetstream_is_checked_at_start() {
    check_start(&[
        (
            "jetstream { domain: \"a.b\" }",
            "invalid domain name: may not contain ., * or >",
        ),
        (
            "jetstream { domain: \"a b\" }",
            "invalid domain name: derived \"$JS.a b.API.>\" is not a valid subject",
        ),
        (
            "jetstream: true, cluster { port: -1, name: c }",
            "jetstream cluster requires `server_name` to be set",
        ),
        (
            "jetstream: true, server_name: s, cluster { port: -1 }",
            "jetstream cluster requires `cluster.name` to be set",
        ),
        (
            "jetstream { extension_hint: x }, server_name: s, cluster { port: -1, name: c }",
            "expected 'no_extend' for string value, got 'x'",
        ),
        (
            "default_js_domain { A: d }",
            "in non operator mode, `default_js_domain` references non existing account \"A\"",
        ),
        (
            "default_js_domain { A: d }, accounts { A { jetstream: true } }",
            "default_js_domain contains account name \"A\" with enabled JetStream",
        ),
        (
            "default_js_domain { S: d }, accounts { S {} }, system_account: S",
            "system account \"S\" can not be in default_js_domain",
        ),
        (
            "default_js_domain { A: \"d d\" }, accounts { A {} }",
            "default_js_domain contains account \"A\" with invalid domain name \"d d\"",
        ),
    ]);
}

#[test]
fn another_store_is_chosen_where_it_is_configured() {
    let read = config("jetstream {}");
    assert_eq!(read.jetstream.unwrap().file_storage, "file");
    let read = config("jetstream { file_storage: sled }; plugins { store { sled { dir: \"/x\" } } }");
    assert_eq!(read.jetstream.unwrap().file_storage, "sled");
    check_errors(&[(
        "plugins { auth { sled {} } }; jetstream { file_storage: sled }",
        "there is no store \"sled\"",
    )]);
}
