//! The cryptography, and the names that configurations and logs have for its parts.

use std::sync::Arc;

use dunlin_api::config::{CipherSuite as Named, Curve};
use rustls::crypto::aws_lc_rs as library;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{CipherSuite, SupportedCipherSuite};

/// Key exchanges in the order of the reference. It is the client's order that counts in the end; every client puts
/// the post-quantum ones first. Nobody has a use for the two that our library lacks unless told so.
const CURVES: [(Curve, &str, Option<&'static dyn SupportedKxGroup>); 7] = {
    use library::kx_group as have;
    [
        (
            Curve::X25519MlKem768,
            "X25519MLKEM768",
            Some(have::X25519MLKEM768),
        ),
        (
            Curve::Secp256r1MlKem768,
            "SecP256r1MLKEM768",
            Some(have::SECP256R1MLKEM768),
        ),
        (Curve::Secp384r1MlKem1024, "SecP384r1MLKEM1024", None),
        (Curve::X25519, "X25519", Some(have::X25519)),
        (Curve::P256, "CurveP256", Some(have::SECP256R1)),
        (Curve::P384, "CurveP384", Some(have::SECP384R1)),
        (Curve::P521, "CurveP521", None),
    ]
};

/// What the library can do, as far as a configuration allows it.
pub(super) struct Allowed {
    pub(super) provider: CryptoProvider,
    /// What the configuration names and the library lacks.
    pub(super) missing: Vec<&'static str>,
}

impl Allowed {
    /// `None` allows everything.
    pub(super) fn new(ciphers: Option<&[Named]>, curves: Option<&[Curve]>) -> Self {
        let mut missing = Vec::new();
        let mut provider = library::default_provider();
        // The server chooses among the suites. AES-128 costs it least, and the reference prefers it too.
        provider
            .cipher_suites
            .sort_by_key(|suite| preference(suite.suite()));
        if let Some(named) = ciphers {
            let is_named = |suite: &SupportedCipherSuite| named.iter().any(|n| n.name == cipher_name(suite));
            let known = |name: &str| library::ALL_CIPHER_SUITES.iter().any(|s| cipher_name(s) == name);
            missing.extend(named.iter().map(|n| n.name).filter(|name| !known(name)));
            // As in the reference, suites of TLS 1.3 cannot be switched off.
            provider
                .cipher_suites
                .retain(|suite| suite.tls13().is_some() || is_named(suite));
        }
        provider.kx_groups.clear();
        for (curve, name, group) in CURVES {
            match group {
                _ if curves.is_some_and(|named| !named.contains(&curve)) => {}
                Some(group) => provider.kx_groups.push(group),
                None if curves.is_some() => missing.push(name),
                None => {}
            }
        }
        Self { provider, missing }
    }
}

/// Everything that the library has.
pub(super) fn everything() -> Arc<CryptoProvider> {
    Arc::new(library::default_provider())
}

/// Stateless session tickets under a key that is renewed by itself.
///
/// # Errors
/// The system gives no randomness.
pub(super) fn ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    library::Ticketer::new()
}

fn preference(suite: CipherSuite) -> u8 {
    use CipherSuite as C;
    match suite {
        C::TLS13_AES_128_GCM_SHA256
        | C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        C::TLS13_AES_256_GCM_SHA384
        | C::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | C::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 1,
        _ => 2,
    }
}

/// The IANA name; rustls has names of its own for the suites of TLS 1.3.
pub(super) fn cipher_name(suite: &SupportedCipherSuite) -> &'static str {
    use CipherSuite as C;
    match suite.suite() {
        C::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        C::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        C::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}
