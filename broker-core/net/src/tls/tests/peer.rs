//! The client's side, over the same streams.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use dunlin_api::{ByteStream, writable};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::Issued;

/// 2026-01-01, as simulated clocks have it.
#[derive(Debug)]
struct NewYear;

impl rustls::time_provider::TimeProvider for NewYear {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            1_767_225_600,
        )))
    }
}

/// A client that trusts `authority` and shows `identity`.
pub(super) fn config(authority: &str, identity: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_details(super::provider::everything(), Arc::new(NewYear))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let key = rustls::pki_types::PrivateKeyDer::Pkcs8(issued.key.serialize_der().into());
            builder
                .with_client_auth_cert(vec![issued.certificate.der().clone()], key)
                .unwrap()
        }
    }
}

/// A client whose handshake is done on its side.
pub(super) struct Peer {
    stream: ByteStream,
    pub(super) tls: ClientConnection,
}

impl Peer {
    pub(super) async fn connect(
        stream: ByteStream,
        config: ClientConfig,
        name: &str,
    ) -> Result<Self, String> {
        let name = name.to_owned().try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut peer = Self { stream, tls };
        while peer.tls.is_handshaking() {
            peer.flush().await.map_err(|error| error.to_string())?;
            if peer.tls.is_handshaking() {
                peer.fill().await?;
            }
        }
        peer.flush().await.map_err(|error| error.to_string())?;
        Ok(peer)
    }

    pub(super) async fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.tls.writer().write(bytes).unwrap();
            bytes = &bytes[count..];
            self.flush().await.unwrap();
        }
    }

    /// Exactly `wanted` bytes, or why they do not come.
    pub(super) async fn read(&mut self, wanted: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; wanted];
        let mut count = 0;
        while count < wanted {
            match self.tls.reader().read(&mut bytes[count..]) {
                Ok(0) => return Err("goodbye".to_owned()),
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.fill().await?,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(bytes)
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            let mut bytes = Vec::new();
            self.tls.write_tls(&mut bytes)?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                match self.stream.try_write_vectored(&[IoSlice::new(rest)]) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        writable(self.stream.as_ref()).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), String> {
        let mut buffer = [0; 2048];
        let count = crate::test_streams::read(self.stream.as_ref(), &mut buffer)
            .await
            .map_err(|error| error.to_string())?;
        let mut bytes = &buffer[..count];
        if bytes.is_empty() {
            self.tls.read_tls(&mut bytes).unwrap();
            return self
                .tls
                .process_new_packets()
                .map_err(|error| error.to_string())
                .and_then(|state| {
                    if state.peer_has_closed() {
                        Ok(())
                    } else {
                        Err("end of stream".to_owned())
                    }
                });
        }
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).unwrap();
            self.tls
                .process_new_packets()
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Writes bytes as they are.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        crate::test_streams::write_all(self.stream.as_ref(), bytes).await;
    }
}

/// For tests that are not about the server's certificate.
pub(super) fn anybody() -> Arc<dyn rustls::client::danger::ServerCertVerifier> {
    Arc::new(Anybody)
}

#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.verify_tls12_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        super::provider::everything()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
