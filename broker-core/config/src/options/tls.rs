//! The `tls` block, which every listener and every connection to another server may have.
//!
//! Says what the block asks for and what is wrong with it; opens no certificate. Rules: AUTH-300, AUTH-410 and
//! the tls paragraph of CORE section 15. The reference stops at a block's first error; all are reported here.

use std::collections::BTreeSet;
use std::time::Duration;

use super::readers::{self, choice};
use crate::ConfigSection;
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader, read_section};
use crate::shape::Shape;
use crate::text::{parse_duration, quote};
use crate::value::{Origin, Value};

/// What is asked of TLS: certificates, who is verified, and how.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(unknown = "error parsing tls config, unknown field {key}", after = TlsOptions::settle, compare)]
pub struct TlsOptions {
    /// File with the certificate, PEM, leaf first.
    #[config(with = file_name, spec = "AUTH-300", reload, example = "cert_file: \"server.pem\"")]
    pub cert_file: Option<String>,
    /// File with the certificate's private key, PEM.
    #[config(with = file_name, spec = "AUTH-300", reload, example = "key_file: \"server-key.pem\"")]
    pub key_file: Option<String>,
    /// File with the authorities that certificates of peers are verified against, PEM. Default: the system's.
    #[config(with = file_name, spec = "AUTH-300", reload, example = "ca_file: \"ca.pem\"")]
    pub ca_file: Option<String>,
    /// Several certificates; the client's server name chooses. Not beside `cert_file`.
    #[config(with = certificates, alias = ["certificates"], spec = "AUTH-300", reload)]
    pub certs: Vec<CertificateFiles>,
    /// Require and verify certificates of clients.
    #[config(with = flag, default_doc = "false", spec = "AUTH-300", reload)]
    pub verify: bool,
    /// Verify, and take the certificate's name for the user. Implies `verify`.
    #[config(with = flag, default_doc = "false", option = "TLSMap", spec = "AUTH-308")]
    pub verify_and_map: bool,
    /// Verify, and hold the certificate's names against the configured URLs; cluster and gateway only. Implies
    /// `verify`.
    #[config(with = flag, default_doc = "false", spec = "AUTH-311", reload)]
    pub verify_cert_and_check_known_urls: bool,
    /// Do not verify the server that is connected to.
    #[config(with = flag, default_doc = "false", spec = "AUTH-312", reload)]
    pub insecure: bool,
    /// How long a handshake may take.
    #[config(with = timeout, kind = "seconds or duration", shape = Shape::Seconds, default_doc = "2s",
             spec = "AUTH-304", reload)]
    pub timeout: Option<Duration>,
    /// Cipher suites of TLS 1.2 and 1.3 by their IANA names. Default: all that are not insecure.
    #[config(with = cipher_suites, kind = "array of names", shape = CIPHER_LIST, default_doc = "all secure ones",
             spec = "AUTH-300", reload)]
    pub cipher_suites: Option<Vec<CipherSuite>>,
    /// Accept insecure suites in `cipher_suites`.
    #[config(with = flag, default_doc = "false", spec = "AUTH-300", reload)]
    pub allow_insecure_cipher_suites: bool,
    /// Key exchanges that are offered; the order does not count. Default: all.
    #[config(with = curves, kind = "array of names", shape = CURVE_LIST, default_doc = "all", spec = "AUTH-300",
             reload)]
    pub curve_preferences: Option<Vec<Curve>>,
    /// Oldest version that is accepted.
    #[config(with = min_version, kind = "\"1.2\" or \"1.3\"", values = ["1.2", "1.3"],
             default_doc = "1.2", spec = "AUTH-300", reload)]
    pub min_version: TlsVersion,
    /// Certificates that alone are accepted: hex of the SHA-256 of each one's public key (DER
    /// SubjectPublicKeyInfo), lower case here.
    #[config(with = pinned_certs, example = "pinned_certs: [\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]", kind = "array of 64 hex digits", shape = Shape::List(&Shape::Text),
             default_doc = "any certificate", spec = "AUTH-305", reload)]
    pub pinned_certs: BTreeSet<String>,
    /// Handshakes that clients may begin in a second; 0 for no limit.
    #[config(with = rate_limit, kind = "integer", default_doc = "0", unit = "handshakes per second",
             option = "TLSRateLimit", spec = "AUTH-307")]
    pub connection_rate_limit: u64,
    /// Begin with the handshake, before INFO: a bool, `auto` (wait 50ms for the client's first byte), or how
    /// long to wait for it.
    #[config(with = handshake_first, kind = "bool, \"auto\" or duration", alias = ["first", "immediate"],
             shape = HANDSHAKE, default_doc = "false", spec = "AUTH-306", reload)]
    pub handshake_first: HandshakeFirst,
    /// Ask the authority's OCSP responder about the peer's certificate.
    #[config(with = ocsp_peer, kind = "bool or table", shape = OCSP_PEER, inert, spec = "AUTH-410", reload)]
    pub ocsp_peer: Option<OcspPeer>,
    /// Certificate store of Windows; elsewhere an error.
    #[config(with = cert_store, kind = "string", values = ["WindowsCurrentUser", "WindowsLocalMachine"], spec = "AUTH-300")]
    pub cert_store: Option<String>,
    /// What `cert_match` is compared with in the store.
    #[config(with = cert_match_by, kind = "string", values = ["subject", "issuer", "thumbprint"],
             spec = "AUTH-300")]
    pub cert_match_by: Option<String>,
    /// Which certificate of the store.
    #[config(with = cert_match, spec = "AUTH-300")]
    pub cert_match: Option<String>,
    /// Pass over certificates of the store that are expired or not yet valid.
    #[config(with = store_flag, default_doc = "false", spec = "AUTH-300")]
    pub cert_match_skip_invalid: bool,
    /// Which authorities of the store.
    #[config(with = ca_certs_match, kind = "string or array", shape = Shape::OneOrMany(&Shape::Text),
             spec = "AUTH-300")]
    pub ca_certs_match: Vec<String>,
    /// Where the block stands in the file; errors about its certificates belong there.
    #[config(skip)]
    pub origin: Origin,
}

/// A certificate with its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
#[config(unknown = "error parsing tls certs config, unknown field {key}", after = CertificateFiles::settle)]
pub struct CertificateFiles {
    /// File with the certificate, PEM.
    #[config(with = certificate_file, spec = "AUTH-300", reload)]
    pub cert_file: String,
    /// File with its private key, PEM.
    #[config(with = certificate_file, spec = "AUTH-300", reload)]
    pub key_file: String,
}

/// How the peer's certificate is checked by OCSP (AUTH-410).
#[derive(Clone, Debug, PartialEq, Eq, ConfigSection)]
#[config(unknown = "error parsing tls peer config, unknown field [{key}]")]
pub struct OcspPeer {
    /// Check at all.
    #[config(with = peer_flag, default_doc = "false", spec = "AUTH-410", reload)]
    pub verify: bool,
    /// How far clocks may differ.
    #[config(default = "30s", with = peer_seconds, kind = "seconds or duration", shape = Shape::Seconds,
             spec = "AUTH-410", reload)]
    pub allowed_clockskew: Duration,
    /// How long the responder may take.
    #[config(default = "2s", with = peer_seconds, kind = "seconds or duration", shape = Shape::Seconds,
             spec = "AUTH-410", reload)]
    pub ca_timeout: Duration,
    /// How long an answer without an end is kept.
    #[config(default = "1h", with = peer_seconds, kind = "seconds or duration", shape = Shape::Seconds,
             spec = "AUTH-410", reload)]
    pub cache_ttl_when_next_update_unset: Duration,
    /// Log failures, and accept the peer.
    #[config(with = peer_flag, default_doc = "false", spec = "AUTH-412", reload)]
    pub warn_only: bool,
    /// Take the answer "unknown" for good.
    #[config(with = peer_flag, default_doc = "false", spec = "AUTH-412", reload)]
    pub unknown_is_good: bool,
    /// Accept the peer when the responder cannot be reached and no revocation is known.
    #[config(with = peer_flag, default_doc = "false", spec = "AUTH-412", reload)]
    pub allow_when_ca_unreachable: bool,
}

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherSuite {
    /// IANA name.
    pub name: &'static str,
    /// Needs `allow_insecure_cipher_suites`.
    pub insecure: bool,
}

/// A key exchange, under the name that the configuration has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Curve {
    /// `X25519MLKEM768`.
    X25519MlKem768,
    /// `SecP256r1MLKEM768`.
    Secp256r1MlKem768,
    /// `SecP384r1MLKEM1024`.
    Secp384r1MlKem1024,
    /// `X25519`.
    X25519,
    /// `CurveP256`.
    P256,
    /// `CurveP384`.
    P384,
    /// `CurveP521`.
    P521,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Whether the handshake comes before INFO (AUTH-306).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakeFirst {
    /// INFO first.
    #[default]
    Never,
    /// The handshake first.
    Always,
    /// The handshake, if the client sends a byte within this time; else INFO.
    Fallback(Duration),
}

/// Wait of `handshake_first: auto`.
const AUTO_FALLBACK: Duration = Duration::from_millis(50);

/// The cipher suites that the reference knows.
const CIPHER_SUITES: &[CipherSuite] = &[
    secure("TLS_AES_128_GCM_SHA256"),
    secure("TLS_AES_256_GCM_SHA384"),
    secure("TLS_CHACHA20_POLY1305_SHA256"),
    secure("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    secure("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    secure("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    secure("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    secure("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    secure("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    secure("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    secure("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    secure("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    secure("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    insecure("TLS_RSA_WITH_RC4_128_SHA"),
    insecure("TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    insecure("TLS_RSA_WITH_AES_128_CBC_SHA"),
    insecure("TLS_RSA_WITH_AES_256_CBC_SHA"),
    insecure("TLS_RSA_WITH_AES_128_CBC_SHA256"),
    insecure("TLS_RSA_WITH_AES_128_GCM_SHA256"),
    insecure("TLS_RSA_WITH_AES_256_GCM_SHA384"),
    insecure("TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"),
    insecure("TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
    insecure("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    insecure("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    insecure("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
];

const CIPHER_NAMES: &[&str; CIPHER_SUITES.len()] = &{
    let mut names = [""; CIPHER_SUITES.len()];
    let mut at = 0;
    #[expect(
        clippy::indexing_slicing,
        reason = "the compiler runs it, over two arrays of one length"
    )]
    while at < CIPHER_SUITES.len() {
        names[at] = CIPHER_SUITES[at].name;
        at += 1;
    }
    names
};

const CIPHER_LIST: Shape = Shape::List(&Shape::Enum(CIPHER_NAMES));
const CURVE_LIST: Shape = Shape::List(&Shape::Enum(&[
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "X25519",
    "CurveP256",
    "CurveP384",
    "CurveP521",
]));
const HANDSHAKE: Shape = Shape::AnyOf(&[
    Shape::Bool,
    Shape::Enum(&["on", "off", "auto", "auto_fallback"]),
    Shape::Duration,
]);
const OCSP_PEER: Shape = Shape::AnyOf(&[Shape::Bool, Shape::table::<OcspPeer>()]);

const fn secure(name: &'static str) -> CipherSuite {
    CipherSuite {
        name,
        insecure: false,
    }
}

const fn insecure(name: &'static str) -> CipherSuite {
    CipherSuite { name, insecure: true }
}

impl TlsOptions {
    /// Whether certificates of clients are required and verified.
    pub fn requires_client_certificate(&self) -> bool {
        self.verify || self.verify_and_map || self.verify_cert_and_check_known_urls
    }

    /// How long a handshake may take: 2 seconds unless the block says otherwise.
    pub fn handshake_timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(2))
    }

    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        self.origin = table.position().into();
        let error = |reason: &str, remedy: &str, report: &mut Report| {
            report.error(table.position(), "tls", reason).remedy(remedy);
        };
        if !self.certs.is_empty() && self.cert_file.is_some() {
            let reason = "error parsing tls config, cannot combine 'cert_file' option with 'certs' option";
            error(reason, "move cert_file and key_file into certs", report);
        }
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => error(
                "missing 'key_file' in TLS configuration",
                "add the private key of cert_file",
                report,
            ),
            (None, Some(_)) => error(
                "missing 'cert_file' in TLS configuration",
                "add the certificate of key_file",
                report,
            ),
            _ => {}
        }
        let given = self.cipher_suites.iter().flatten();
        let insecure: Vec<&str> = given
            .filter(|suite| suite.insecure)
            .map(|suite| suite.name)
            .collect();
        if !insecure.is_empty() && !self.allow_insecure_cipher_suites {
            let reason = format!(
                "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: {}",
                insecure.join(", ")
            );
            error(&reason, "remove them from cipher_suites", report);
        }
    }
}

/// Reads the block of a listener for clients, where `verify_cert_and_check_known_urls` has no place.
pub(super) fn client_tls(field: &Field<'_>, report: &mut Report) -> Option<Option<TlsOptions>> {
    let tls: TlsOptions = read_section(field, report)?;
    if tls.verify_cert_and_check_known_urls {
        let key = "verify_cert_and_check_known_urls";
        let at = field.node.value.as_table().and_then(|table| {
            let entry = table.iter().rfind(|entry| entry.key.eq_ignore_ascii_case(key))?;
            Some(&entry.key_pos)
        });
        report
            .error(
                at.unwrap_or(field.pos),
                key,
                format!("{key} not supported in this context"),
            )
            .remedy("it is for the tls blocks of cluster and gateway");
    }
    Some(Some(tls))
}

impl CertificateFiles {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        if self.cert_file.is_empty() || self.key_file.is_empty() {
            let reason =
                "error parsing certificates config: both 'cert_file' and 'cert_key' options are required";
            report
                .error(table.position(), "certs", reason)
                .remedy("give cert_file and key_file for each certificate");
        }
    }
}

/// What an empty block says, as `ocsp_peer: {}`.
impl Default for OcspPeer {
    fn default() -> Self {
        Self::defaults()
    }
}

fn expected<T>(field: &Field<'_>, what: &str, report: &mut Report) -> Option<T> {
    let key = field.key.to_ascii_lowercase();
    let reason = format!("error parsing tls config, expected '{key}' to be {what}");
    field.error(reason, report)
}

fn file_name(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    match field.node.value.as_str() {
        Some(path) => Some(Some(path.to_owned()).filter(|path| !path.is_empty())),
        None => expected(field, "filename", report),
    }
}

fn flag(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    match field.node.value {
        Value::Bool(set) => Some(set),
        _ => expected(field, "a boolean", report),
    }
}

fn certificates(field: &Field<'_>, report: &mut Report) -> Option<Vec<CertificateFiles>> {
    let Some(elements) = field.elements() else {
        return unsupported_certificate(field, report);
    };
    let read = elements.filter_map(|item| match item.node.value {
        Value::Table(_) => read_section(&item, report),
        _ => unsupported_certificate(&item, report),
    });
    Some(read.collect())
}

fn certificate_file(field: &Field<'_>, report: &mut Report) -> Option<String> {
    match field.node.value.as_str() {
        Some(path) => Some(path.to_owned()),
        None => unsupported_certificate(field, report),
    }
}

fn unsupported_certificate<T>(field: &Field<'_>, report: &mut Report) -> Option<T> {
    let got = field.node.value.type_name();
    field.error(
        format!("error parsing certificates config: unsupported type {got}"),
        report,
    )
}

/// 0 is the default.
fn timeout(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    let timeout = readers::seconds(field, "error parsing tls config, 'timeout'", report)?;
    Some(Some(timeout).filter(|timeout| !timeout.is_zero()))
}

/// The named elements of an array that must not be empty.
fn names<T>(
    field: &Field<'_>,
    report: &mut Report,
    find: impl Fn(&str) -> Result<T, String>,
) -> Option<Option<Vec<T>>> {
    let Some(elements) = field.elements() else {
        return field.wrong_type("[]interface {}", report);
    };
    let mut found = Vec::new();
    let mut given = 0;
    for item in elements {
        given += 1;
        let Some(name) = String::from_field(&item, report) else {
            continue;
        };
        match find(&name) {
            Ok(one) => found.push(one),
            Err(reason) => {
                report.error(item.pos, item.key, reason);
            }
        }
    }
    if given == 0 {
        let key = field.key.to_ascii_lowercase();
        let reason = format!("error parsing tls config, '{key}' cannot be empty");
        return field.error(reason, report);
    }
    Some(Some(found))
}

fn cipher_suites(field: &Field<'_>, report: &mut Report) -> Option<Option<Vec<CipherSuite>>> {
    names(field, report, |name| {
        let known = CIPHER_SUITES.iter().find(|suite| suite.name == name);
        known
            .copied()
            .ok_or_else(|| format!("unrecognized cipher {name}"))
    })
}

fn curves(field: &Field<'_>, report: &mut Report) -> Option<Option<Vec<Curve>>> {
    names(field, report, |name| {
        Ok(match name {
            "X25519MLKEM768" => Curve::X25519MlKem768,
            "SecP256r1MLKEM768" => Curve::Secp256r1MlKem768,
            "SecP384r1MLKEM1024" => Curve::Secp384r1MlKem1024,
            "X25519" => Curve::X25519,
            "CurveP256" => Curve::P256,
            "CurveP384" => Curve::P384,
            "CurveP521" => Curve::P521,
            _ => return Err(format!("unrecognized curve preference {name}")),
        })
    })
}

fn min_version(field: &Field<'_>, report: &mut Report) -> Option<TlsVersion> {
    let reason = match field.node.value.as_str() {
        Some("1.2") => return Some(TlsVersion::V1_2),
        Some("1.3") => return Some(TlsVersion::V1_3),
        Some(old @ ("1.0" | "1.1")) => format!("unsupported TLS version: TLS {old}"),
        Some(other) => format!("unknown version: {other}"),
        None => format!("'min_version' wrong type: {}", field.node.value),
    };
    report
        .error(
            field.pos,
            field.key,
            format!("error parsing tls config: {reason}"),
        )
        .remedy("write \"1.2\" or \"1.3\", in quotes");
    None
}

fn pinned_certs(field: &Field<'_>, report: &mut Report) -> Option<BTreeSet<String>> {
    let Some(elements) = field.elements() else {
        let what = "a list of hex-encoded sha256 of DER encoded SubjectPublicKeyInfo";
        return expected(field, what, report);
    };
    let mut pins = BTreeSet::new();
    for item in elements {
        let Some(pin) = String::from_field(&item, report) else {
            continue;
        };
        let pin = pin.to_lowercase();
        if pin.len() == 64 && pin.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            pins.insert(pin);
        } else {
            let reason = format!(
                "error parsing tls config, 'pinned_certs' key {pin} does not look like hex-encoded sha256 of \
                 DER encoded SubjectPublicKeyInfo"
            );
            report.error(item.pos, item.key, reason);
        }
    }
    Some(pins)
}

/// Negative is no limit, as 0 is.
fn rate_limit(field: &Field<'_>, report: &mut Report) -> Option<u64> {
    match field.node.value {
        Value::Integer(limit) => Some(u64::try_from(limit).unwrap_or_default()),
        _ => field.error(
            "error parsing tls config, 'connection_rate_limit' wrong type",
            report,
        ),
    }
}

fn handshake_first(field: &Field<'_>, report: &mut Report) -> Option<HandshakeFirst> {
    let text = match &field.node.value {
        Value::Bool(true) => return Some(HandshakeFirst::Always),
        Value::Bool(false) => return Some(HandshakeFirst::Never),
        Value::String(text) => text,
        other => {
            let (key, got) = (quote(field.key), other.type_name());
            let reason = format!("field {key} should be a boolean or a string, got {got}");
            return field.error(reason, report);
        }
    };
    match text.to_lowercase().as_str() {
        "true" | "on" => Some(HandshakeFirst::Always),
        "false" | "off" => Some(HandshakeFirst::Never),
        "auto" | "auto_fallback" => Some(HandshakeFirst::Fallback(AUTO_FALLBACK)),
        _ => match parse_duration(text).map(u64::try_from) {
            Ok(Ok(0)) | Ok(Err(_)) => Some(HandshakeFirst::Always),
            Ok(Ok(nanoseconds)) => Some(HandshakeFirst::Fallback(Duration::from_nanos(nanoseconds))),
            Err(_) => {
                let reason = format!("field {}'s value {} is invalid", quote(field.key), quote(text));
                report
                    .error(field.pos, field.key, reason)
                    .remedy("write a bool, auto, or a duration such as \"100ms\"");
                None
            }
        },
    }
}

fn ocsp_peer(field: &Field<'_>, report: &mut Report) -> Option<Option<OcspPeer>> {
    match &field.node.value {
        Value::Bool(verify) => Some(Some(OcspPeer {
            verify: *verify,
            ..OcspPeer::default()
        })),
        Value::Table(_) => read_section(field, report).map(Some),
        other => {
            let got = other.type_name();
            field.error(
                format!("error parsing ocsp peer config: unsupported type {got}"),
                report,
            )
        }
    }
}

/// The reference's text for a flag of another type is the one for an unknown field.
fn peer_flag(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    match field.node.value {
        Value::Bool(set) => Some(set),
        _ => {
            let reason = format!(
                "error parsing tls peer config, unknown field [{}]",
                quote(field.key)
            );
            report
                .error(field.pos, field.key, reason)
                .remedy("write true or false");
            None
        }
    }
}

/// Negative values are passed over.
fn peer_seconds(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    let prefix = "error parsing tls peer config, conversion error:";
    match readers::signed_seconds(field) {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(Some(reason)) => field.error(format!("{prefix} {reason}"), report),
        Err(None) => field.error(format!("{prefix} unexpected type"), report),
    }
}

fn cert_store(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    const KNOWN: [(&str, ()); 2] = [("windowscurrentuser", ()), ("windowslocalmachine", ())];
    store_text(field, "a valid non-empty string", report)?;
    choice(
        field,
        &KNOWN,
        |_| "cert store type not implemented".to_owned(),
        report,
    )?;
    field.error("cert_store not compatible with current operating system", report)
}

fn cert_match_by(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    const KNOWN: [(&str, &str); 3] = [
        ("subject", "subject"),
        ("issuer", "issuer"),
        ("thumbprint", "thumbprint"),
    ];
    store_text(field, "a valid non-empty string", report)?;
    let by = choice(
        field,
        &KNOWN,
        |_| "cert match by type not implemented".to_owned(),
        report,
    )?;
    Some(Some(by.to_owned()))
}

fn cert_match(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    store_text(field, "a valid non-empty string", report).map(Some)
}

fn store_text(field: &Field<'_>, what: &str, report: &mut Report) -> Option<String> {
    match field.node.value.as_str() {
        Some(text) if !text.is_empty() => Some(text.to_owned()),
        _ => field.error(
            format!("expected '{}' to be {what}", field.key.to_ascii_lowercase()),
            report,
        ),
    }
}

fn store_flag(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    match field.node.value {
        Value::Bool(set) => Some(set),
        _ => field.error("expected 'cert_match_skip_invalid' to be a boolean", report),
    }
}

fn ca_certs_match(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    readers::strings(field, "error parsing ca_cert_match", report)
}
