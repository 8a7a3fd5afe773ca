//! Who is let in, how it is told, and what the log says.

use std::time::Duration;

use expect_test::{Expect, expect};
use rcgen::{DnType, SanType};
use rustls::version::TLS12;

use super::*;
use crate::test_streams::{end_of, write_all};

/// A handshake under `lines`: what the server's log would say, and what the client is told.
async fn check(bench: &Bench, lines: &str, client: rustls::ClientConfig, expected: Expect) {
    let (server, client, stream) = bench.shake(lines, client).await;
    let agreed = server.map(|agreed| format!("TLS {} {}", agreed.version, agreed.cipher));
    let client = match client {
        // A refusal of TLS 1.3 comes when the client believes that all is well.
        Ok(mut peer) if agreed.is_err() => peer.read(1).await.map(|_| String::new()),
        Ok(_) => Ok("connected".to_owned()),
        Err(error) => Err(error),
    };
    drop(stream);
    let show = |side: Result<String, String>| side.unwrap_or_else(|error| error);
    expected.assert_eq(&format!("{}\n{}\n", show(agreed), show(client)));
}

// AUTH-303 [TestTLSConnection]
#[test]
fn a_client_that_trusts_the_server_is_connected() {
    paused(|| async {
        let bench = Bench::new();
        check(
            &bench,
            "",
            bench.client(),
            expect![[r#"
            TLS 1.3 TLS_AES_128_GCM_SHA256
            connected
        "#]],
        )
        .await;
    });
}

// AUTH-302 [TestTLSClientCertificate, TestTLSVerifyClientCertificate]
#[test]
fn a_certificate_that_is_asked_for_must_be_there_and_by_the_authority() {
    paused(|| async {
        let bench = Bench::new();
        let lines = "ca_file: ca.pem, verify: true";
        check(
            &bench,
            lines,
            bench.client(),
            expect![[r#"
            tls: client didn't provide a certificate
            received fatal alert: CertificateRequired
        "#]],
        )
        .await;
        let stranger = Authority::new("Stranger").issue(&["x"], |params| {
            params.distinguished_name.push(DnType::CommonName, "mallory");
        });
        let (server, client, _stream) = bench.shake(lines, bench.client_with(&stranger)).await;
        let line = server.unwrap_err();
        let (reason, detail) = line.split_once(" (CN=mallory SHA-256: ").unwrap();
        assert_eq!(
            reason,
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        );
        assert_eq!(detail.len(), 65, "64 hex digits: {detail}");
        let told = client.ok().unwrap().read(1).await;
        assert_eq!(told.unwrap_err(), "received fatal alert: UnknownCA");
        let known = bench.authority.issue(&["x"], |_| {});
        check(
            &bench,
            lines,
            bench.client_with(&known),
            expect![[r#"
            TLS 1.3 TLS_AES_128_GCM_SHA256
            connected
        "#]],
        )
        .await;
    });
}

// AUTH-302: the broker's clock decides.
#[test]
fn an_expired_certificate_is_refused() {
    paused(|| async {
        let bench = Bench::new();
        let old = bench.authority.issue(&["x"], |params| {
            params.not_after = rcgen::date_time_ymd(2025, 12, 31);
        });
        let (server, client, _stream) = bench
            .shake("ca_file: ca.pem, verify: true", bench.client_with(&old))
            .await;
        let line = server.unwrap_err();
        assert!(
            line.contains("x509: certificate has expired or is not yet valid: "),
            "{line}"
        );
        let told = client.ok().unwrap().read(1).await;
        assert_eq!(told.unwrap_err(), "received fatal alert: CertificateExpired");
    });
}

// AUTH-305 [TestTLSPinnedCertsClient]
#[test]
fn only_a_pinned_key_may_stay() {
    paused(|| async {
        let bench = Bench::new();
        let known = bench.authority.issue(&["x"], |_| {});
        let key = names::key_fingerprint(known.certificate.der()).unwrap();
        let verify = "ca_file: ca.pem, verify: true";
        let (server, ..) = bench
            .shake(
                &format!("{verify}, pinned_certs: [\"{}\"]", key.to_uppercase()),
                bench.client_with(&known),
            )
            .await;
        assert!(server.is_ok(), "{server:?}");
        let other = "0".repeat(64);
        let pins = format!("pinned_certs: [\"{other}\"]");
        for (lines, client) in [
            (format!("{verify}, {pins}"), bench.client_with(&known)),
            (pins.clone(), bench.client()),
        ] {
            let (server, ..) = bench.shake(&lines, client).await;
            assert_eq!(server.unwrap_err(), "certificate not pinned", "{lines}");
        }
    });
}

// AUTH-305: what a reload does to those that are connected.
#[test]
fn pins_are_held_against_living_connections() {
    paused(|| async {
        let bench = Bench::new();
        let known = bench.authority.issue(&["x"], |_| {});
        let key = names::key_fingerprint(known.certificate.der()).unwrap();
        let (_, _, stream) = bench
            .shake("ca_file: ca.pem, verify: true", bench.client_with(&known))
            .await;
        let tls = |pin: &str| bench.server(&format!("pinned_certs: [\"{pin}\"]")).unwrap();
        assert!(stream.keeps_pins(&tls(&key)));
        assert!(!stream.keeps_pins(&tls(&"0".repeat(64))));
    });
}

// AUTH-300 [TestTLSMinVersionConfig, TestTLSVersions]
#[test]
fn the_oldest_version_is_the_configured_one() {
    paused(|| async {
        let bench = Bench::new();
        let old = || {
            rustls::ClientConfig::builder_with_provider(provider::everything())
                .with_protocol_versions(&[&TLS12])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(peer::anybody())
                .with_no_client_auth()
        };
        check(
            &bench,
            "",
            old(),
            expect![[r#"
            TLS 1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            connected
        "#]],
        )
        .await;
        check(
            &bench,
            "min_version: \"1.3\"",
            old(),
            expect![[r#"
            tls: client offered only unsupported versions
            received fatal alert: ProtocolVersion
        "#]],
        )
        .await;
        // Suites of TLS 1.3 stay; of 1.2 only those listed do.
        let listed = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]";
        check(
            &bench,
            listed,
            old(),
            expect![[r#"
            TLS 1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            connected
        "#]],
        )
        .await;
        check(
            &bench,
            listed,
            bench.client(),
            expect![[r#"
            TLS 1.3 TLS_AES_128_GCM_SHA256
            connected
        "#]],
        )
        .await;
    });
}

// AUTH-300 [TestTLSConnectionCurvePref, TestTLSDefaultCipherAndCurvePreferences]
#[test]
fn key_exchanges_are_the_listed_ones_and_post_quantum_by_default() {
    paused(|| async {
        let bench = Bench::new();
        for (lines, name) in [
            ("", "X25519MLKEM768"),
            ("curve_preferences: [CurveP384]", "secp384r1"),
            ("curve_preferences: [CurveP521, X25519]", "X25519"),
            ("curve_preferences: [SecP256r1MLKEM768]", "secp256r1MLKEM768"),
        ] {
            let mut all = (*provider::everything()).clone();
            all.kx_groups = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS.to_vec();
            let client = rustls::ClientConfig::builder_with_provider(Arc::new(all))
                .with_safe_default_protocol_versions()
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(peer::anybody())
                .with_no_client_auth();
            let (server, peer, _stream) = bench.shake(lines, client).await;
            assert!(server.is_ok(), "{lines}");
            let group = peer.ok().unwrap().tls.negotiated_key_exchange_group().unwrap();
            assert_eq!(format!("{:?}", group.name()), name, "{lines}");
        }
    });
}

// AUTH-300: `certs`
#[test]
fn the_certificate_fits_the_name_that_is_asked_for() {
    paused(|| async {
        let bench = Bench::new();
        bench.put_pair("other", &bench.authority.issue(&["other.test"], |_| {}));
        let certs = "certs: [{cert_file: other.pem, key_file: other.key}, {cert_file: server.pem, key_file: server.key}]";
        let tls = bench.server(certs).unwrap();
        for (name, fits) in [("server.test", true), ("other.test", true), ("third.test", false)] {
            let (client, stream) = bench.connect().await;
            let (_, peer) = tokio::join!(
                stream.accept(&tls, &bench.env),
                Peer::connect(client, bench.client(), name)
            );
            assert_eq!(peer.is_ok(), fits, "{name}");
        }
    });
}

// CORE-10 [TestTLSClientHandshakeProbeErrorsLogAsDebug]: what speaks something else is not answered.
#[test]
fn a_plain_client_is_refused_in_silence_and_taken_for_a_probe() {
    paused(|| async {
        let bench = Bench::new();
        let tls = bench.server("").unwrap();
        for bytes in [
            &b"CONNECT {}\r\n"[..],
            b"PING\r\n",
            b"GET / HTTP/1.1\r\n",
            &[0x80, 0x2e, 1, 0, 2],
        ] {
            let (client, stream) = bench.connect().await;
            write_all(client.as_ref(), bytes).await;
            let error = stream.accept(&tls, &bench.env).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "tls: first record does not look like a TLS handshake"
            );
            assert!(error.is_probe());
            stream.shutdown();
            assert_eq!(end_of(client.as_ref()).await, Ok(()), "nothing was said");
        }
    });
}

// CORE-10: garbage in a record's clothes is answered, and no probe.
#[test]
fn garbage_in_a_record_gets_an_alert() {
    paused(|| async {
        let bench = Bench::new();
        let tls = bench.server("").unwrap();
        let (client, stream) = bench.connect().await;
        write_all(client.as_ref(), &[0x16, 3, 1, 0, 4, 1, 0, 0, 0]).await;
        let error = stream.accept(&tls, &bench.env).await.unwrap_err();
        assert!(!error.is_probe(), "{error}");
        let alert = crate::test_streams::read_all(client.as_ref(), 6).await;
        assert_eq!(alert, [0x15, 3, 3, 0, 2, 2], "a fatal alert");
    });
}

// AUTH-304 [TestTLSConnectionTimeout, TestTLSHandshakeTimerTimeoutLogLevel]
#[test]
fn a_handshake_takes_no_longer_than_its_timeout() {
    paused(|| async {
        let bench = Bench::new();
        for (lines, seconds) in [("", 2.0), ("timeout: 0.5", 0.5)] {
            for begun in [&b""[..], &[0x16, 3, 1], &[0x16, 3, 1, 0, 200, 1]] {
                let tls = bench.server(lines).unwrap();
                let (client, stream) = bench.connect().await;
                write_all(client.as_ref(), begun).await;
                let start = bench.env.now();
                let error = stream.accept(&tls, &bench.env).await.unwrap_err();
                assert_eq!(error.to_string(), "i/o timeout");
                assert!(error.is_probe());
                let waited = (bench.env.now() - start).as_secs_f64();
                assert!((waited - seconds).abs() < 0.01, "{waited}");
            }
        }
    });
}

// CORE-10
#[test]
fn a_client_that_leaves_is_reported() {
    paused(|| async {
        let bench = Bench::new();
        let tls = bench.server("").unwrap();
        for (begun, expected) in [(&b""[..], "EOF"), (&[0x16, 3, 1][..], "unexpected EOF")] {
            let (client, stream) = bench.connect().await;
            write_all(client.as_ref(), begun).await;
            client.shutdown();
            let error = stream.accept(&tls, &bench.env).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(!error.is_probe());
        }
    });
}

// AUTH-304 [TestTLSHandshakeFailureMemUsage]: what is not a handshake is not collected without end.
#[test]
fn an_endless_handshake_message_is_refused() {
    paused(|| async {
        let bench = Bench::new();
        let tls = bench.server("timeout: 60").unwrap();
        let (client, stream) = bench.connect().await;
        let flood = async {
            // Fragments of a client hello that claims to be of 16 MiB.
            let mut record = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
            record.resize(5 + 0x4000, 0);
            loop {
                if dunlin_api::writable(client.as_ref()).await.is_err() {
                    return;
                }
                let _ = client.try_write_vectored(&[std::io::IoSlice::new(&record)]);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            refused = stream.accept(&tls, &bench.env) => {
                let error = refused.unwrap_err();
                assert!(!error.is_probe(), "refused before the time-out: {error}");
            }
            () = flood => panic!("the stream ended first"),
        }
    });
}

// AUTH-308, AUTH-315
#[test]
fn a_certificates_names_are_all_told() {
    paused(|| async {
        let bench = Bench::new();
        let known = bench.authority.issue(&[], |params| {
            params.subject_alt_names = vec![
                SanType::Rfc822Name("derek@nats.test".try_into().unwrap()),
                SanType::DnsName("app.nats.test".try_into().unwrap()),
                SanType::URI("spiffe://nats.test/app".try_into().unwrap()),
            ];
            let name = &mut params.distinguished_name;
            name.push(DnType::CountryName, "US");
            name.push(DnType::OrganizationName, "Widgets, Inc");
            name.push(
                DnType::CustomDnType(vec![0, 9, 2342, 19200300, 100, 1, 25]),
                "nats",
            );
            name.push(DnType::CommonName, "derek");
        });
        let (_, _, stream) = bench
            .shake("ca_file: ca.pem, verify: true", bench.client_with(&known))
            .await;
        let peer = stream.peer_identity().unwrap();
        assert_eq!(peer.certificates, [known.certificate.der().to_vec()]);
        assert_eq!(peer.names.emails, ["derek@nats.test"]);
        assert_eq!(peer.names.dns, ["app.nats.test"]);
        assert_eq!(peer.names.uris, ["spiffe://nats.test/app"]);
        assert_eq!(peer.names.subject_text, r"CN=derek,O=Widgets\, Inc,C=US");
        assert_eq!(peer.names.domain_components, "DC=nats");
        let text = r"CN=derek,DC=nats,O=Widgets\, Inc,C=US";
        let parsed = dunlin_api::DistinguishedName::parse(text).unwrap();
        assert_eq!(peer.names.subject, Some(parsed));
    });
}
