//! Why there is no secure connection, and why certificates cannot be used: in the reference's words where it has some,
//! since operators search their logs for them.

use std::io;

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use dunlin_api::system_error;

/// Why certificates, keys or settings of a `tls` block cannot be used. `Display` is the reference's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TlsError {
    text: String,
    remedy: String,
}

impl TlsError {
    pub(super) fn new(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            remedy: remedy.into(),
        }
    }

    /// The same about a part of what was to be read.
    pub(super) fn within(self, what: &str) -> Self {
        Self {
            text: format!("{what}: {}", self.text),
            ..self
        }
    }

    /// What to do about it, with the file's name.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// How a handshake failed. `Display` is what the log says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It took too long.
    #[error("i/o timeout")]
    Timeout,
    /// The peer speaks something else.
    #[error("tls: first record does not look like a TLS handshake")]
    NotTls,
    /// The peer left.
    #[error("EOF")]
    Ended,
    /// The peer left in the middle of a record.
    #[error("unexpected EOF")]
    CutShort,
    /// The peer's certificate is none of the pinned ones, or it has none.
    #[error("certificate not pinned")]
    NotPinned {
        /// SHA-256 of its public key in hex; `None` without a certificate.
        key: Option<String>,
    },
    /// The stream failed.
    #[error("{}", system_error::reason(.0))]
    Stream(#[from] io::Error),
    /// The two sides cannot agree, or the peer is not who it should be.
    #[error("{}", protocol_text(.error, .certificates))]
    Protocol {
        /// What rustls says.
        error: rustls::Error,
        /// The certificates that were refused: subject and fingerprint of each.
        certificates: Vec<String>,
    },
}

impl HandshakeError {
    /// Whether it looks like a port scan or a load balancer's check rather than a client in trouble: such ends are logged
    /// for debugging only (CORE-10).
    pub fn is_probe(&self) -> bool {
        matches!(self, Self::Timeout | Self::NotTls)
    }
}

impl From<rustls::Error> for HandshakeError {
    fn from(error: rustls::Error) -> Self {
        Self::Protocol {
            error,
            certificates: Vec::new(),
        }
    }
}

fn protocol_text(error: &rustls::Error, certificates: &[String]) -> String {
    use rustls::Error as E;
    let text = match error {
        E::AlertReceived(alert) => format!("remote error: tls: {}", alert_text(*alert)),
        E::NoCertificatesPresented => "tls: client didn't provide a certificate".to_owned(),
        E::InvalidCertificate(reason) => {
            format!(
                "tls: failed to verify certificate: x509: {}",
                certificate_text(reason)
            )
        }
        E::PeerIncompatible(reason) => format!("tls: {}", incompatible_text(reason)),
        E::General(text) if text == "no server certificate chain resolved" => {
            "tls: no certificates configured".to_owned()
        }
        E::DecryptError => "local error: tls: bad record MAC".to_owned(),
        other => format!("tls: {other}"),
    };
    if certificates.is_empty() {
        text
    } else {
        format!("{text} ({})", certificates.join("; "))
    }
}

fn certificate_text(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            format!("certificate has expired or is not yet valid: {error}")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate specifies an incompatible key usage".to_owned()
        }
        CertificateError::BadEncoding => "malformed certificate".to_owned(),
        other => other.to_string(),
    }
}

fn incompatible_text(reason: &PeerIncompatible) -> String {
    match reason {
        PeerIncompatible::NoCipherSuitesInCommon => {
            "no cipher suite supported by both client and server".to_owned()
        }
        PeerIncompatible::NoKxGroupsInCommon => {
            "no ECDHE curve supported by both client and server".to_owned()
        }
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic
        | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "client offered only unsupported versions".to_owned()
        }
        other => format!("client is incompatible: {other:?}"),
    }
}

/// Go's names of alerts.
fn alert_text(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let name = match alert {
        A::CloseNotify => "close notify",
        A::UnexpectedMessage => "unexpected message",
        A::BadRecordMac => "bad record MAC",
        A::RecordOverflow => "record overflow",
        A::HandshakeFailure => "handshake failure",
        A::BadCertificate => "bad certificate",
        A::UnsupportedCertificate => "unsupported certificate",
        A::CertificateRevoked => "revoked certificate",
        A::CertificateExpired => "expired certificate",
        A::CertificateUnknown => "unknown certificate",
        A::IllegalParameter => "illegal parameter",
        A::UnknownCA => "unknown certificate authority",
        A::AccessDenied => "access denied",
        A::DecodeError => "error decoding message",
        A::DecryptError => "error decrypting message",
        A::ProtocolVersion => "protocol version not supported",
        A::InsufficientSecurity => "insufficient security level",
        A::InternalError => "internal error",
        A::UserCanceled => "user canceled",
        A::MissingExtension => "missing extension",
        A::UnsupportedExtension => "unsupported extension",
        A::UnrecognisedName => "unrecognized name",
        A::CertificateRequired => "certificate required",
        A::NoApplicationProtocol => "no application protocol",
        other => return format!("alert({})", u8::from(other)),
    };
    name.to_owned()
}
