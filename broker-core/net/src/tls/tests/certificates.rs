//! What is said of files that cannot be used.

use super::*;

fn check(bench: &Bench, lines: &str, text: &str, named: &str) {
    let error = bench.server(lines).err().expect(lines);
    assert_eq!(error.to_string(), text, "{lines}");
    assert!(error.remedy().contains(named), "{lines}: {}", error.remedy());
}

// AUTH-300 [TestTLSConfigFile]
#[test]
fn a_bad_file_is_named_with_what_to_do() {
    paused(|| async {
        let bench = Bench::new();
        bench.put("text.pem", "no certificate at all\n");
        bench.put_pair("other", &bench.authority.issue(&["x"], |_| {}));
        bench.put(
            "encrypted.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        bench.put(
            "crl.pem",
            "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        );
        // The reason is the disk's; a real one says "no such file or directory".
        let pair = |text: &str| format!("error parsing X509 certificate/key pair: {text}");
        for (cert, key, text, named) in [
            ("no.pem", "server.key", "open no.pem: entity not found", "no.pem"),
            ("server.pem", "no.key", "open no.key: entity not found", "no.key"),
            (
                "server.pem",
                "other.key",
                "tls: private key does not match public key",
                "server.pem",
            ),
            (
                "text.pem",
                "server.key",
                "tls: failed to find any PEM data in certificate input",
                "text.pem",
            ),
            (
                "server.key",
                "server.key",
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM \
                 inputs may have been switched",
                "server.key",
            ),
            (
                "crl.pem",
                "server.key",
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the \
                 following types: [X509 CRL]",
                "crl.pem",
            ),
            (
                "server.pem",
                "text.pem",
                "tls: failed to find any PEM data in key input",
                "text.pem",
            ),
            (
                "server.pem",
                "server.pem",
                "tls: found a certificate rather than a key in the PEM for the private key",
                "server.pem",
            ),
            (
                "server.pem",
                "crl.pem",
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM \
                 blocks of the following types: [X509 CRL]",
                "crl.pem",
            ),
            (
                "server.pem",
                "encrypted.key",
                "tls: failed to parse private key",
                "openssl",
            ),
        ] {
            let lines = format!("cert_file: {cert}, key_file: {key}");
            check(&bench, &lines, &pair(text), named);
        }
        check(
            &bench,
            "certs: [{cert_file: server.pem, key_file: server.key}, {cert_file: no.pem, key_file: no.key}]",
            "error parsing X509 certificate/key pair 2/2: open no.pem: entity not found",
            "no.pem",
        );
        for verify in ["", ", verify: true"] {
            check(
                &bench,
                &format!("ca_file: no.pem{verify}"),
                "open no.pem: entity not found",
                "no.pem",
            );
            check(
                &bench,
                &format!("ca_file: server.key{verify}"),
                "failed to parse root ca certificate",
                "server.key",
            );
        }
    });
}

// AUTH-300 [TestTLSCipher]: what the configuration may name and this server lacks is said, not dropped in silence.
#[test]
fn settings_that_are_left_out_are_said() {
    paused(|| async {
        let bench = Bench::new();
        let remarks = |lines: &str| bench.server(lines).unwrap().remarks().join("\n");
        assert_eq!(remarks(""), "");
        assert_eq!(
            remarks(
                "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], \
                 curve_preferences: [CurveP521, CurveP256]"
            ),
            "TLS settings that this server does not have are left out: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, CurveP521"
        );
        check(
            &bench,
            "curve_preferences: [CurveP521]",
            "none of the curve preferences is available: CurveP521",
            "X25519",
        );
        assert_eq!(
            ServerTls::load(&TlsOptions::defaults(), &bench.env)
                .unwrap()
                .remarks(),
            ["TLS is configured without a certificate: no handshake can succeed"]
        );
    });
}

// AUTH-300: every form in which keys are written.
#[test]
fn keys_of_all_kinds_and_forms_are_read() {
    paused(|| async {
        let bench = Bench::new();
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
            &rcgen::PKCS_RSA_SHA256,
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let params = CertificateParams::new(["server.test".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &bench.authority.issuer).unwrap();
            bench.put_pair("server", &Issued { certificate, key });
            let (server, peer, _stream) = bench.shake("", bench.client()).await;
            assert!(server.is_ok() && peer.is_ok(), "{algorithm:?}");
        }
    });
}
