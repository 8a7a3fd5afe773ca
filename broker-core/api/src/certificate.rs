//! What a peer's certificate says about the peer.

use crate::dn::DistinguishedName;

/// What the TLS handshake showed about the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPeer {
    /// The verified certificates in DER as the peer sent them, leaf first; empty when none was asked for.
    pub certificates: Vec<Vec<u8>>,
    /// The names in the leaf.
    pub names: CertificateNames,
}

/// The names that a certificate was issued for; all empty without a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// E-mail addresses among the alternative names.
    pub emails: Vec<String>,
    /// DNS names among them.
    pub dns: Vec<String>,
    /// URIs among them.
    pub uris: Vec<String>,
    /// The subject, the most specific part first; `None` when it has an attribute without a short name.
    pub subject: Option<DistinguishedName>,
    /// The subject as the reference prints it: `SERIALNUMBER,CN,OU,O,POSTALCODE,STREET,L,ST,C`, others left out
    /// (AUTH-315).
    pub subject_text: String,
    /// `DC=a,DC=b` in the certificate's order, or empty.
    pub domain_components: String,
}
