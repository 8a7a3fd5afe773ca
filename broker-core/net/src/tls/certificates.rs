//! Certificates and keys from PEM files.
//!
//! Files are read through `Env`'s disk, at start and at reload. Whatever is wrong names the file and what to do; the
//! texts are the reference's (AUTH-300).

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::error::TlsError;
use dunlin_api::{Disk, system_error};

/// Reads a certificate chain, leaf first, and the leaf's key.
pub(super) fn key_pair(
    cert_file: &str,
    key_file: &str,
    provider: &CryptoProvider,
    disk: &dyn Disk,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificate = read(cert_file, disk)?;
    let key = read(key_file, disk)?;
    let chain = chain(&certificate, cert_file)?;
    let key = private_key(&key, key_file)?;
    let renew = format!("{key_file} must hold the private key that {cert_file} was issued for");
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::new("tls: private key does not match public key", renew)
        }
        rustls::Error::InvalidCertificate(_) => TlsError::new(
            "x509: malformed certificate",
            format!("the first certificate in {cert_file} must be a valid X.509 v3 certificate"),
        ),
        _ => TlsError::new(
            "tls: failed to parse private key",
            format!("{key_file} must hold an RSA, ECDSA or Ed25519 key in PKCS#8, PKCS#1 or SEC1 form"),
        ),
    })?;
    Ok(Arc::new(certified))
}

/// Reads the authorities that certificates of peers are verified against.
pub(super) fn authorities(ca_file: &str, disk: &dyn Disk) -> Result<RootCertStore, TlsError> {
    let pem = read(ca_file, disk)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(TlsError::new(
            "failed to parse root ca certificate",
            format!("{ca_file} must hold certificates of authorities in PEM form"),
        ));
    }
    Ok(roots)
}

/// The authorities that the system trusts.
pub(super) fn system_authorities() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsError::new(
            "no certificate authorities were found on this system",
            "give 'ca_file', or install the system's CA certificates",
        ));
    }
    Ok(roots)
}

fn read(path: &str, disk: &dyn Disk) -> Result<Vec<u8>, TlsError> {
    disk.read(Path::new(path)).map_err(|error| {
        let verb = if error.kind() == std::io::ErrorKind::IsADirectory {
            "read"
        } else {
            "open"
        };
        TlsError::new(
            format!("{verb} {path}: {}", system_error::reason(&error)),
            format!("check that {path} is a file that this process may read"),
        )
    })
}

fn chain(pem: &[u8], path: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .collect();
    if !chain.is_empty() {
        return Ok(chain);
    }
    let remedy = format!("{path} must hold the certificate in PEM form, -----BEGIN CERTIFICATE-----");
    Err(match labels(pem).as_slice() {
        [] => TlsError::new("tls: failed to find any PEM data in certificate input", remedy),
        [one] if one.ends_with("PRIVATE KEY") => TlsError::new(
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs \
             may have been switched",
            remedy,
        ),
        others => {
            let others = others.join(" ");
            TlsError::new(
                format!(
                    "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of \
                     the following types: [{others}]"
                ),
                remedy,
            )
        }
    })
}

fn private_key(pem: &[u8], path: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    if let Ok(key) = PrivateKeyDer::from_pem_slice(pem) {
        return Ok(key);
    }
    let remedy = format!("{path} must hold the private key in PEM form, -----BEGIN PRIVATE KEY-----");
    let labels = labels(pem);
    if labels.iter().any(|label| label == "ENCRYPTED PRIVATE KEY") {
        return Err(TlsError::new(
            "tls: failed to parse private key",
            format!("the key in {path} is encrypted: decrypt it, for instance with openssl pkey"),
        ));
    }
    Err(match labels.as_slice() {
        [] => TlsError::new("tls: failed to find any PEM data in key input", remedy),
        [one] if one == "CERTIFICATE" => TlsError::new(
            "tls: found a certificate rather than a key in the PEM for the private key",
            remedy,
        ),
        others if others.iter().any(|label| label.ends_with("PRIVATE KEY")) => {
            TlsError::new("tls: failed to parse private key", remedy)
        }
        others => {
            let others = others.join(" ");
            TlsError::new(
                format!(
                    "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping \
                     PEM blocks of the following types: [{others}]"
                ),
                remedy,
            )
        }
    })
}

/// What kinds of blocks a PEM file has.
fn labels(pem: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(pem);
    text.lines()
        .filter_map(|line| line.trim_end().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .map(str::to_owned)
        .collect()
}

/// Chooses among several certificates: the first that fits the name which the client asks for and the signatures that
/// it knows, else the first of all.
#[derive(Debug)]
pub(super) struct Chooser(pub(super) Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let fits = |certified: &&Arc<CertifiedKey>| {
            certified.key.choose_scheme(hello.signature_schemes()).is_some()
                && name.as_ref().is_none_or(|name| is_for(certified, name))
        };
        let certificates = &self.0;
        certificates
            .iter()
            .find(fits)
            .or_else(|| certificates.first())
            .cloned()
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    certified
        .end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .is_ok_and(|leaf| rustls::client::verify_server_name(&leaf, name).is_ok())
}
