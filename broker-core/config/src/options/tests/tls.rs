//! The `tls` block: what it reads, and each of its errors (AUTH-300).

use super::load;
use crate::options::{Curve, HandshakeFirst, TlsOptions, TlsVersion};
use crate::report::{Report, Severity};
use crate::section::{Field, read_section};
use crate::source::MapSource;
use crate::tree::{Format, parse};
use std::time::Duration;

/// Reads the text as a block of a cluster, whatever the top level does with it.
fn read(text: &str) -> (TlsOptions, Report) {
    let mut report = Report::new();
    let text = format!("tls {{ {text}\n}}");
    let tree = parse(
        text.as_bytes(),
        "a",
        Format::NatsConf,
        &MapSource::new(),
        &mut report,
    )
    .unwrap();
    let entry = tree.get("tls").unwrap();
    let tls = read_section(&Field::of(entry), &mut report).unwrap();
    (tls, report)
}

#[track_caller]
fn tls(text: &str) -> TlsOptions {
    let (tls, report) = read(text);
    assert_eq!(report.reference_text(), "", "{text}");
    tls
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let (_, report) = read(text);
    let reasons: Vec<_> = report
        .of(Severity::Error)
        .iter()
        .map(|finding| finding.reason.clone())
        .collect();
    assert_eq!(reasons, [expected], "{text}");
}

// AUTH-300 [TestTLSConfigFile]
#[test]
fn all_keys_of_the_block_are_read() {
    let read = tls(
        "cert_file: a.pem, key_file: b.pem, ca_file: c.pem, verify_and_map: true, insecure: true, timeout: 2.5
         cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP521, X25519]
         min_version: \"1.3\", connection_rate_limit: 50, handshake_first: \"100ms\"
         pinned_certs: [ABcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789]
         ocsp_peer { verify: true, ca_timeout: \"5s\", allowed_clockskew: -1, warn_only: true }",
    );
    assert_eq!(read.cert_file.as_deref(), Some("a.pem"));
    assert_eq!(read.key_file.as_deref(), Some("b.pem"));
    assert_eq!(read.ca_file.as_deref(), Some("c.pem"));
    assert!(read.requires_client_certificate() && !read.verify && read.insecure);
    assert_eq!(read.handshake_timeout(), Duration::from_millis(2500));
    assert_eq!(
        read.cipher_suites.unwrap()[0].name,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    );
    assert_eq!(read.curve_preferences.unwrap(), [Curve::P521, Curve::X25519]);
    assert_eq!(
        (read.min_version, read.connection_rate_limit),
        (TlsVersion::V1_3, 50)
    );
    assert_eq!(
        read.handshake_first,
        HandshakeFirst::Fallback(Duration::from_millis(100))
    );
    assert!(read.pinned_certs.first().unwrap().starts_with("abcdef"));
    let peer = read.ocsp_peer.unwrap();
    assert!(peer.verify && peer.warn_only);
    assert_eq!(
        (peer.ca_timeout, peer.allowed_clockskew),
        (Duration::from_secs(5), Duration::from_secs(30))
    );
    assert_eq!(tls("").handshake_timeout(), Duration::from_secs(2));
}

// AUTH-300: several certificates
#[test]
fn certificates_come_in_pairs() {
    let read = tls("certs: [{cert_file: a, key_file: b}, {cert_file: c, key_file: d}]");
    assert_eq!(read.certs[1].key_file, "d");
    check_error(
        "certs: [{cert_file: a}]",
        "error parsing certificates config: both 'cert_file' and 'cert_key' options are required",
    );
    check_error(
        "certificates: [{cert_file: a, key_file: b, x: c}]",
        "error parsing tls certs config, unknown field \"x\"",
    );
    check_error(
        "certs: a",
        "error parsing certificates config: unsupported type string",
    );
    check_error(
        "cert_file: a, key_file: b, certs: [{cert_file: a, key_file: b}]",
        "error parsing tls config, cannot combine 'cert_file' option with 'certs' option",
    );
}

// AUTH-306: every spelling of handshake_first [TestTLSClientHandshakeFirstFallbackDelayConfigValues]
#[test]
fn handshake_first_is_a_bool_or_a_wait() {
    for (text, expected) in [
        ("true", HandshakeFirst::Always),
        ("\"ON\"", HandshakeFirst::Always),
        ("\"true\"", HandshakeFirst::Always),
        ("on", HandshakeFirst::Always),
        ("false", HandshakeFirst::Never),
        ("\"false\"", HandshakeFirst::Never),
        ("\"off\"", HandshakeFirst::Never),
        ("\"300ms\"", HandshakeFirst::Fallback(Duration::from_millis(300))),
        ("auto", HandshakeFirst::Fallback(Duration::from_millis(50))),
        (
            "auto_fallback",
            HandshakeFirst::Fallback(Duration::from_millis(50)),
        ),
    ] {
        for key in ["handshake_first", "first", "immediate"] {
            assert_eq!(tls(&format!("{key}: {text}")).handshake_first, expected, "{text}");
        }
    }
    check_error("first: soon", "field \"first\"'s value \"soon\" is invalid");
    check_error(
        "first: 1",
        "field \"first\" should be a boolean or a string, got int64",
    );
}

// AUTH-300 [TestTLSMinVersionConfig, TestTLSCipher, TestTlsPinnedCertificates]
#[test]
fn errors_are_the_references() {
    for (text, expected) in [
        ("x: 1", "error parsing tls config, unknown field \"x\""),
        (
            "cert_file: 1",
            "error parsing tls config, expected 'cert_file' to be filename",
        ),
        (
            "verify: 1",
            "error parsing tls config, expected 'verify' to be a boolean",
        ),
        ("cert_file: a", "missing 'key_file' in TLS configuration"),
        ("key_file: a", "missing 'cert_file' in TLS configuration"),
        (
            "cipher_suites: []",
            "error parsing tls config, 'cipher_suites' cannot be empty",
        ),
        (
            "curve_preferences: []",
            "error parsing tls config, 'curve_preferences' cannot be empty",
        ),
        ("cipher_suites: [BOB]", "unrecognized cipher BOB"),
        ("curve_preferences: [BOB]", "unrecognized curve preference BOB"),
        (
            "cipher_suites: [TLS_RSA_WITH_RC4_128_SHA, TLS_RSA_WITH_AES_128_CBC_SHA]",
            "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: \
             TLS_RSA_WITH_RC4_128_SHA, TLS_RSA_WITH_AES_128_CBC_SHA",
        ),
        (
            "min_version: \"1.0\"",
            "error parsing tls config: unsupported TLS version: TLS 1.0",
        ),
        (
            "min_version: \"1.4\"",
            "error parsing tls config: unknown version: 1.4",
        ),
        (
            "min_version: 1.2",
            "error parsing tls config: 'min_version' wrong type: 1.2",
        ),
        (
            "timeout: foo",
            "error parsing tls config, 'timeout' time: invalid duration \"foo\"",
        ),
        ("timeout: true", "error parsing tls config, 'timeout' wrong type"),
        (
            "connection_rate_limit: \"1\"",
            "error parsing tls config, 'connection_rate_limit' wrong type",
        ),
        (
            "pinned_certs: 1",
            "error parsing tls config, expected 'pinned_certs' to be a list of hex-encoded sha256 of DER encoded \
             SubjectPublicKeyInfo",
        ),
        (
            "pinned_certs: [XY]",
            "error parsing tls config, 'pinned_certs' key xy does not look like hex-encoded sha256 of DER encoded \
             SubjectPublicKeyInfo",
        ),
        (
            "ocsp_peer: 1",
            "error parsing ocsp peer config: unsupported type int64",
        ),
        (
            "ocsp_peer { x: 1 }",
            "error parsing tls peer config, unknown field [\"x\"]",
        ),
        (
            "ocsp_peer { verify: 1 }",
            "error parsing tls peer config, unknown field [\"verify\"]",
        ),
        (
            "ocsp_peer { ca_timeout: x }",
            "error parsing tls peer config, conversion error: time: invalid duration \"x\"",
        ),
        ("cert_store: x", "cert store type not implemented"),
        (
            "cert_store: WindowsCurrentUser",
            "cert_store not compatible with current operating system",
        ),
        ("cert_match_by: x", "cert match by type not implemented"),
        (
            "cert_match: \"\"",
            "expected 'cert_match' to be a valid non-empty string",
        ),
        (
            "cert_match_skip_invalid: 1",
            "expected 'cert_match_skip_invalid' to be a boolean",
        ),
    ] {
        check_error(text, expected);
    }
    assert!(
        tls("allow_insecure_cipher_suites: true, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]")
            .cipher_suites
            .is_some()
    );
}

// AUTH-300
#[test]
fn known_urls_are_for_clusters() {
    let (_, report) = load("tls {\n verify_cert_and_check_known_urls: true }");
    let reasons: Vec<String> = report.findings().iter().map(ToString::to_string).collect();
    assert!(
        reasons.contains(&"a:2:2: verify_cert_and_check_known_urls not supported in this context".to_owned()),
        "{reasons:?}"
    );
}
