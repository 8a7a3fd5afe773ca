//! Operators, resolvers, proxies, callouts, OCSP.

use super::{check, check_start, check_texts, config};
use crate::options::{OcspCacheKind, OcspMode};
use expect_test::expect;
use std::time::Duration;

const USER: &str = "UAT2BLVT73USGL4K6IQR7HXESHC3CC7MWVLDX7A6N6JUE7WLZD7CS7KG";
const ACCOUNT: &str = "ACSU3SQYEUYLWHLNCMWN5VRDPMXNSHR7OIP4WGLRC5CJJVSJHSOVZQKS";

// CORE section 15 [TestResolver*, TestParseOperators*]
#[test]
fn errors_of_operator_mode_are_the_references() {
    check_texts(&[
        ("operator: 1", "error parsing operators: unsupported type int64"),
        ("resolver: 1", "error parsing operator resolver, wrong type int64"),
        (
            "resolver: x",
            "error parsing account resolver, should be MEM or  URL(\"url\") or a map containing dir and type \
             state=[FULL|CACHE])",
        ),
        (
            "resolver: {}",
            "error parsing account resolver, should be MEM or  URL(\"url\") or a map containing dir and type \
             state=[FULL|CACHE])",
        ),
        (
            "resolver { type: full }",
            "dir has no value and needs to point to a directory",
        ),
        (
            "resolver { type: cache, dir: a, interval: \"1s\" }",
            "CACHE does not accept sync",
        ),
        (
            "resolver { type: cache, dir: a, allow_delete: true }",
            "CACHE does not accept allow_delete",
        ),
        (
            "resolver { type: cache, dir: a, hard_delete: false }",
            "CACHE does not accept hard_delete",
        ),
        (
            "resolver { type: full, dir: a, ttl: \"1s\" }",
            "FULL does not accept ttl",
        ),
        (
            "resolver { type: full, dir: a, hard_delete: true }",
            "hard_delete has no effect without delete",
        ),
        (
            "resolver { type: full, dir: a, ttl: x }",
            "time: invalid duration \"x\"",
        ),
        (
            "resolver_preload: x",
            "preload should be a map of account_public_key:account_jwt",
        ),
        (
            "resolver_preload { A: 1 }",
            "preload map value should be a string JWT",
        ),
        ("resolver_preload { A: x }", "invalid account JWT"),
        (
            "resolver_pinned_accounts: [1 ]",
            "error parsing resolver_pinned_accounts: unsupported type in array int64",
        ),
        (
            "resolver_pinned_accounts: 1",
            "error parsing resolver_pinned_accounts: unsupported type int64",
        ),
        ("trusted: 1", "error parsing trusted: unsupported type int64"),
        (
            "trusted: [x]",
            "trust key \"x\" required to be a valid public operator nkey",
        ),
    ]);
    check_texts(&[(
        &format!("trusted: {USER}"),
        &format!("trust key \"{USER}\" required to be a valid public operator nkey"),
    )]);
    check_start(&[(
        "default_sentinel: x",
        "default sentinel requires operators and accounts",
    )]);
}

// AUTH-1200: what can be read is only refused because nothing acts on it yet
#[test]
fn resolvers_that_are_well_formed_are_refused_for_what_they_ask() {
    for text in [
        "MEM",
        "memory",
        "URL(http://a:9090/jwt/v1/accounts/)",
        "'url( \"http://a\" )'",
        "{ type: full, dir: a, allow_delete: true, hard_delete: true, interval: \"1m\", limit: 10, timeout: \"1s\" }",
        "{ type: CACHE, dir: a, ttl: \"1h\" }",
    ] {
        let (_, report) = super::load(&format!("resolver: {text}"));
        let reasons: Vec<_> = report
            .findings()
            .iter()
            .map(|finding| finding.reason.clone())
            .collect();
        let refused = "key \"resolver\" is not supported yet; refusing to start without it";
        assert_eq!(reasons, [refused], "{text}");
    }
}

// CORE section 15, AUTH-1400 [TestProxiesConfig*]
#[test]
fn errors_of_proxies_are_the_references() {
    check_texts(&[
        ("proxies: 1", "expected proxies to be a map/struct, got int64"),
        ("proxies { x: 1 }", "unknown field \"x\""),
        (
            "proxies { trusted: 1 }",
            "expected proxies' trusted field to be an array, got int64",
        ),
        (
            "proxies { trusted: [1 ] }",
            "expected proxies' trusted entry to be a map/struct, got int64",
        ),
        ("proxies { trusted: [{ key: x }] }", "invalid proxy key \"x\""),
        ("proxies { trusted: [{ x: y }] }", "unknown field \"x\""),
    ]);
    for key in [USER, ACCOUNT] {
        let (_, report) = super::load(&format!("proxies {{ trusted: [{{ public_key: {key} }}] }}"));
        assert!(report.findings().is_empty(), "{key}");
    }
}

// CORE section 15, AUTH-1300 [TestAuthCallout*Config]
#[test]
fn errors_of_callouts_are_the_references() {
    let in_block = |text: &str| format!("authorization {{ auth_callout {{ {text} }} }}");
    for (text, expected) in [
        (
            String::new(),
            "Authorization callouts require an issuer to be specified".to_owned(),
        ),
        (
            format!("issuer: {ACCOUNT}"),
            "Authorization callouts require authorized users to be specified".to_owned(),
        ),
        (
            format!("issuer: {USER}, users: [a]"),
            format!("Expected callout user to be a valid public account nkey, got \"{USER}\""),
        ),
        (
            format!("issuer: {ACCOUNT}, users: [a], key: x"),
            "Expected callout xkey to be a valid public xkey, got \"x\"".to_owned(),
        ),
        (
            format!("issuer: {ACCOUNT}, users: a"),
            "Expected auth_users field to be an array, got string".to_owned(),
        ),
        (
            format!("issuer: {ACCOUNT}, users: [a], x: y"),
            "Unknown field \"x\" parsing authorization callout".to_owned(),
        ),
        (
            format!("issuer: {ACCOUNT}, users: [a], allowed_accounts: [B]"),
            "auth_callout allowed account \"B\" not found in configured accounts".to_owned(),
        ),
    ] {
        check_texts(&[(&in_block(&text), &expected)]);
    }
    check_texts(&[(
        "authorization { auth_callout: 1 }",
        "Expected authorization callout to be a map/struct, got 1",
    )]);
}

// AUTH-400, AUTH-413 [TestOCSPResponseCacheConfig*, TestOCSPPeerConfig*]
#[test]
fn ocsp_is_a_bool_or_a_table() {
    let read = config(
        "ocsp { mode: Must, url: \"http://a\" }
         ocsp_cache { type: none, local_store: x, preserve_revoked: true, save_interval: \"10ms\" }",
    );
    let (ocsp, cache) = (read.ocsp.unwrap(), read.ocsp_cache.unwrap());
    assert_eq!(
        (ocsp.mode, ocsp.urls),
        (OcspMode::Must, vec!["http://a".to_owned()])
    );
    assert_eq!(
        (cache.kind, cache.save_interval),
        (OcspCacheKind::None, Duration::from_secs(1))
    );
    assert_eq!(config("ocsp: false").ocsp.unwrap().mode, OcspMode::Never);
    assert_eq!(config("ocsp_cache: true").ocsp_cache.unwrap().local_store, "_rc_");
    check_texts(&[
        ("ocsp: 1", "error parsing ocsp config: unsupported type int64"),
        (
            "ocsp { mode: x }",
            "error parsing ocsp config: unsupported ocsp mode string",
        ),
        (
            "ocsp { x: 1 }",
            "error parsing ocsp config: unsupported field \"x\"",
        ),
        ("ocsp_cache: 1", "error parsing tags: unsupported type int64"),
        (
            "ocsp_cache { type: x }",
            "error parsing OCSP peer cache config, unknown type [x]",
        ),
        (
            "ocsp_cache { x: 1 }",
            "error parsing OCSP peer cache config, unknown field [\"x\"]",
        ),
        (
            "ocsp_cache { save_interval: true }",
            "error parsing OCSP peer cache config, conversion error: unexpected type",
        ),
    ]);
}

// CORE section 15 [TestFeatureFlagsConfigParseNonBool]
#[test]
fn feature_flags_are_bools() {
    assert_eq!(
        config("feature_flags { js_ack_fc_v2: true }")
            .feature_flags
            .get("js_ack_fc_v2"),
        Some(&true)
    );
    check_texts(&[
        (
            "feature_flags: 1",
            "error parsing feature flags: unsupported type int64",
        ),
        (
            "feature_flags { a: \"true\" }",
            "error parsing feature flag \"a\": expected bool, got string",
        ),
        (
            "default_js_domain: 1",
            "error default_js_domain config: unsupported type int64",
        ),
    ]);
}

// CORE-124: a key without effect is read all the same
#[test]
fn keys_without_effect_are_checked() {
    check(
        "prof_port: x\nhttps: true",
        expect![[r#"
            error a:1:0: interface conversion: interface {} is string, not int64
              prof_port takes a whole number
            error a:2:1: expected port or host:port, got bool
              write a port, or "host:port"
            inert a:1:0: key "prof_port" has no effect yet in this version of Dunlin
            inert a:2:1: key "https" has no effect yet in this version of Dunlin
        "#]],
    );
}
