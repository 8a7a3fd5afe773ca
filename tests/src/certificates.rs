//! Certificates for servers and clients under test, made anew for each server: no private key lies anywhere.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SanType};

/// Object id of a domain component.
const DOMAIN_COMPONENT: [u64; 7] = [0, 9, 2342, 19200300, 100, 1, 25];

/// Writes `ca.pem`, and `NAME.pem` with `NAME.key` for each of these:
///
/// | name | is |
/// |---|---|
/// | `server` | a server on the loopback interface |
/// | `named` | `CN=derek,OU=nats.io,O=Synadia,C=US`, the most specific part first |
/// | `domain` | `CN=derek,OU=users,DC=example,DC=com` |
/// | `mail` | the e-mail address `derek@nats.test`, the DNS name `app.nats.test` |
/// | `spiffe` | the URI `spiffe://nats.test/derek` |
/// | `stranger` | `CN=derek`, by an authority that nobody knows |
///
/// # Errors
/// What cannot be made or written.
pub fn write(folder: &Path) -> Result<(), String> {
    let authority = authority("Test Authority")?;
    put(folder, "ca.pem", &authority.pem)?;
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let server = CertificateParams::new(names).map_err(text)?;
    issue(folder, "server", server, &authority)?;
    let named = [
        (DnType::CountryName, "US"),
        (DnType::OrganizationName, "Synadia"),
        (DnType::OrganizationalUnitName, "nats.io"),
        (DnType::CommonName, "derek"),
    ];
    issue(folder, "named", subject(&named)?, &authority)?;
    let domain = [
        (DnType::CustomDnType(DOMAIN_COMPONENT.to_vec()), "com"),
        (DnType::OrganizationalUnitName, "users"),
        (DnType::CommonName, "derek"),
    ];
    issue(folder, "domain", subject(&domain)?, &authority)?;
    let mut mail = subject(&[])?;
    mail.subject_alt_names = vec![
        SanType::Rfc822Name("derek@nats.test".try_into().map_err(text)?),
        SanType::DnsName("app.nats.test".try_into().map_err(text)?),
    ];
    issue(folder, "mail", mail, &authority)?;
    let mut spiffe = subject(&[(DnType::OrganizationName, "SPIRE")])?;
    spiffe.subject_alt_names = vec![SanType::URI("spiffe://nats.test/derek".try_into().map_err(text)?)];
    issue(folder, "spiffe", spiffe, &authority)?;
    let elsewhere = self::authority("Unknown Authority")?;
    issue(
        folder,
        "stranger",
        subject(&[(DnType::CommonName, "derek")])?,
        &elsewhere,
    )
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(name: &str) -> Result<Authority, String> {
    let mut params = subject(&[(DnType::CommonName, name)])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(text)?;
    let pem = params.self_signed(&key).map_err(text)?.pem();
    Ok(Authority {
        pem,
        issuer: Issuer::new(params, key),
    })
}

fn subject(parts: &[(DnType, &str)]) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::new([]).map_err(text)?;
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), *value);
    }
    Ok(params)
}

fn issue(folder: &Path, name: &str, params: CertificateParams, by: &Authority) -> Result<(), String> {
    let key = KeyPair::generate().map_err(text)?;
    let certificate = params.signed_by(&key, &by.issuer).map_err(text)?;
    put(folder, &format!("{name}.pem"), &certificate.pem())?;
    put(folder, &format!("{name}.key"), &key.serialize_pem())
}

fn put(folder: &Path, name: &str, pem: &str) -> Result<(), String> {
    std::fs::write(folder.join(name), pem).map_err(|error| format!("{name}: {error}"))
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
