//! A client's side of TLS for raw connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};

/// A secured socket.
pub type Secured = StreamOwned<ClientConnection, TcpStream>;

/// How a client introduces itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// Name of a certificate in the server's folder, see [`crate::certificates`].
    pub certificate: Option<String>,
    /// Speaks TLS 1.2 and nothing newer.
    pub is_old: bool,
}

/// Runs a handshake over `socket`, which may be any stream that waits, trusting the authority in `folder`; returns the version that was agreed on.
///
/// # Errors
/// What rustls says, or what the server answered.
pub fn secure<S: Read + Write>(
    socket: S,
    folder: &Path,
    client: &Introduction,
) -> Result<(StreamOwned<ClientConnection, S>, &'static str), String> {
    let config = config(folder, client)?;
    let name = ServerName::try_from("localhost").map_err(text)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(text)?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(text)?;
    }
    let version = match stream.conn.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    };
    Ok((stream, version))
}

/// What a client says first in a handshake, trusting the authority in `folder`.
///
/// # Errors
/// What rustls says.
pub fn hello(folder: &Path, client: &Introduction) -> Result<Vec<u8>, String> {
    let name = ServerName::try_from("localhost").map_err(text)?;
    let mut connection = ClientConnection::new(Arc::new(config(folder, client)?), name).map_err(text)?;
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).map_err(text)?;
    Ok(bytes)
}

fn config(folder: &Path, client: &Introduction) -> Result<ClientConfig, String> {
    let certificate = |name: &str| CertificateDer::from_pem_file(folder.join(name)).map_err(text);
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca.pem")?).map_err(text)?;
    let versions: &[_] = if client.is_old {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(text)?
        .with_root_certificates(roots);
    let Some(name) = &client.certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).map_err(text)?;
    builder
        .with_client_auth_cert(vec![certificate(&format!("{name}.pem"))?], key)
        .map_err(text)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
