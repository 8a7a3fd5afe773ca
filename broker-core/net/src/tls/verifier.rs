//! Verifies the certificates of clients, and remembers for the log which ones were refused.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::error::HandshakeError;
use super::{names, provider};

thread_local! {
    /// What the verifier has refused on this thread in the call under way: rustls hands out the certificates of a peer
    /// only when they are good, and calls the verifier with nothing that would tell connections apart.
    static REFUSED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs one step of a handshake; if it fails over the peer's certificates, the error tells which they are.
pub(super) fn noting_refusals(step: impl FnOnce() -> Result<(), Error>) -> Result<(), HandshakeError> {
    REFUSED.take();
    step().map_err(|error| HandshakeError::Protocol {
        error,
        certificates: REFUSED.take(),
    })
}

/// Requires a certificate by one of the authorities, as the library does it.
#[derive(Debug)]
pub(super) struct ClientVerifier(Arc<dyn ClientCertVerifier>);

impl ClientVerifier {
    pub(super) fn new(roots: RootCertStore) -> Result<Arc<Self>, rustls::server::VerifierBuilderError> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider::everything());
        Ok(Arc::new(Self(builder.build()?)))
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0
            .verify_client_cert(leaf, intermediates, now)
            .inspect_err(|_| {
                let all = std::iter::once(leaf).chain(intermediates);
                REFUSED.set(all.map(|one| names::description(one)).collect());
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
