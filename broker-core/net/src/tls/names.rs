//! What a certificate says: names for logins and logs, and the fingerprint that pins it.

use dunlin_api::{CertificateNames, DistinguishedName, DnAttribute};
use sha2::{Digest, Sha256};
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Attributes with a short name, by object id. The first nine, in this order, make the printed subject (AUTH-315).
const KINDS: [(&str, &str); 10] = [
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.3", "CN"),
    ("2.5.4.11", "OU"),
    ("2.5.4.10", "O"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.6", "C"),
    (DOMAIN_COMPONENT, "DC"),
];
const PRINTED: usize = 9;
const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";

/// The names in a certificate; empty when it cannot be read.
pub(super) fn of(der: &[u8]) -> CertificateNames {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return CertificateNames::default();
    };
    let mut names = CertificateNames {
        subject: distinguished_name(certificate.subject()),
        subject_text: printed(certificate.subject()),
        domain_components: domain_components(certificate.subject()),
        ..CertificateNames::default()
    };
    if let Ok(Some(alternatives)) = certificate.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            match name {
                GeneralName::RFC822Name(email) => names.emails.push((*email).to_owned()),
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                _ => {}
            }
        }
    }
    names
}

/// SHA-256 of the certificate's public key (DER SubjectPublicKeyInfo), in hex.
pub(super) fn key_fingerprint(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(sha256_hex(certificate.public_key().raw))
}

/// How the log names a certificate that was refused.
pub(super) fn description(der: &[u8]) -> String {
    let subject = of(der).subject_text;
    format!("{subject} SHA-256: {}", sha256_hex(der))
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The subject in the order of RFC 4514, which is the reverse of the certificate's.
fn distinguished_name(subject: &X509Name<'_>) -> Option<DistinguishedName> {
    let mut parts = Vec::new();
    for part in subject.iter() {
        let mut attributes = Vec::new();
        for attribute in part.iter() {
            let kind = short_name(attribute)?.to_owned();
            attributes.push(DnAttribute {
                kind,
                value: text(attribute)?,
            });
        }
        attributes.reverse();
        if !attributes.is_empty() {
            parts.push(attributes);
        }
    }
    parts.reverse();
    Some(DistinguishedName::new(parts))
}

fn short_name(attribute: &AttributeTypeAndValue<'_>) -> Option<&'static str> {
    let id = attribute.attr_type().to_id_string();
    KINDS
        .iter()
        .find(|(known, _)| *known == id)
        .map(|(_, name)| *name)
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    match value.tag() {
        Tag::BmpString => value.as_bmpstring().ok().map(|text| text.string()),
        Tag::T61String => Some(value.data.iter().copied().map(char::from).collect()),
        _ => attribute.as_str().ok().map(str::to_owned),
    }
}

fn printed(subject: &X509Name<'_>) -> String {
    let mut parts = Vec::new();
    for (id, name) in KINDS.iter().take(PRINTED) {
        let values = subject
            .iter_attributes()
            .filter(|attribute| attribute.attr_type().to_id_string() == *id)
            .filter_map(text);
        let mut values: Vec<_> = values
            .map(|value| format!("{name}={}", escaped(&value)))
            .collect();
        if matches!(*name, "CN" | "SERIALNUMBER") {
            // The reference keeps the last of these alone.
            values.drain(..values.len().saturating_sub(1));
        }
        if !values.is_empty() {
            parts.push(values.join("+"));
        }
    }
    parts.join(",")
}

fn domain_components(subject: &X509Name<'_>) -> String {
    let components: Vec<_> = subject
        .iter_attributes()
        .filter(|attribute| attribute.attr_type().to_id_string() == DOMAIN_COMPONENT)
        .filter_map(|attribute| Some(format!("DC={}", text(attribute)?)))
        .collect();
    components.join(",")
}

/// RFC 2253, as the reference applies it.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::new();
    for (index, letter) in value.chars().enumerate() {
        let is_special = match letter {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => index == 0 || index == last,
            '#' => index == 0,
            _ => false,
        };
        if is_special {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}
