//! What the server's side of a handshake works with, made from a `tls` block.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::config::{Config, Report, TlsOptions, TlsVersion};
use dunlin_api::{Disk, Env};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::certificates::{self, Chooser};
use super::error::{HandshakeError, TlsError};
use super::provider::{self, Allowed};
use super::verifier::ClientVerifier;

/// Certificates and rules for connections that are accepted. Never changes: a reload makes another, and connections keep
/// what they were accepted with.
pub struct ServerTls {
    config: Arc<ServerConfig>,
    timeout: Duration,
    pins: BTreeSet<String>,
    remarks: Vec<String>,
}

impl ServerTls {
    /// Reads the files that `options` name, and makes ready what a handshake needs. Waits for the disk: at start and at
    /// reload only.
    ///
    /// # Errors
    /// A file that cannot be used, with its name and what to do; or nothing to agree on is left.
    pub fn load(options: &TlsOptions, env: &Env) -> Result<Self, TlsError> {
        let clock = Arc::new(WallTime(env.clone()));
        let Parts {
            provider,
            certificates,
            authorities,
            remarks,
        } = Parts::read(options, env.disk())?;
        let versions = match options.min_version {
            TlsVersion::V1_2 => vec![&TLS13, &TLS12],
            TlsVersion::V1_3 => vec![&TLS13],
        };
        let builder = ServerConfig::builder_with_details(Arc::new(provider), clock)
            .with_protocol_versions(&versions)
            .map_err(|error| unusable(&error))?;
        let builder = match authorities {
            Some(roots) => builder
                .with_client_cert_verifier(ClientVerifier::new(roots).map_err(|error| unusable(&error))?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Chooser(certificates)));
        config.ignore_client_order = true;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = provider::ticketer().map_err(|error| unusable(&error))?;
        // Each costs an encryption and a write; nobody opens two connections from one session.
        config.send_tls13_tickets = 1;
        Ok(Self {
            config: Arc::new(config),
            timeout: options.handshake_timeout(),
            pins: options.pinned_certs.clone(),
            remarks,
        })
    }

    /// Reads the files of a configuration's `tls` block, and adds what is wrong with them to `report`, at the block's
    /// place: the reference finds it while it parses.
    pub fn check(config: &Config, disk: &dyn Disk, report: &mut Report) {
        let Some(options) = &config.tls else { return };
        if let Err(error) = Parts::read(options, disk) {
            // A block that flags made has no place.
            let place = options.origin.0.as_ref().filter(|place| place.line > 0);
            let finding = match place {
                Some(position) => report.error(position, "tls", error.to_string()),
                None => report.error_anywhere("tls", error.to_string()),
            };
            finding.remedy(error.remedy());
        }
    }

    /// What the operator should know: lines for the log.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// How long a handshake may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Whether a peer with these certificates, leaf first, may stay (AUTH-305). Without pins everybody may.
    ///
    /// # Errors
    /// [`HandshakeError::NotPinned`].
    pub fn check_pins(&self, certificates: &[CertificateDer<'_>]) -> Result<(), HandshakeError> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let key = certificates
            .first()
            .and_then(|leaf| super::names::key_fingerprint(leaf));
        match key {
            Some(key) if self.pins.contains(&key) => Ok(()),
            key => Err(HandshakeError::NotPinned { key }),
        }
    }
}

/// What a block names, read and found to be good.
struct Parts {
    provider: CryptoProvider,
    certificates: Vec<Arc<CertifiedKey>>,
    /// Of clients, where they need a certificate.
    authorities: Option<RootCertStore>,
    remarks: Vec<String>,
}

impl Parts {
    fn read(options: &TlsOptions, disk: &dyn Disk) -> Result<Self, TlsError> {
        let Allowed { provider, missing } = Allowed::new(
            options.cipher_suites.as_deref(),
            options.curve_preferences.as_deref(),
        );
        let missing = missing.join(", ");
        let mut remarks = Vec::new();
        if !missing.is_empty() {
            remarks.push(format!(
                "TLS settings that this server does not have are left out: {missing}"
            ));
        }
        if provider.kx_groups.is_empty() {
            return Err(TlsError::new(
                format!("none of the curve preferences is available: {missing}"),
                "add X25519 or CurveP256 to 'curve_preferences'",
            ));
        }
        let certificates = read_certificates(options, &provider, disk)?;
        if certificates.is_empty() {
            remarks.push("TLS is configured without a certificate: no handshake can succeed".to_owned());
        }
        // An authority that is named must be good, also where no client needs a certificate.
        let named = options
            .ca_file
            .as_ref()
            .map(|path| certificates::authorities(path, disk))
            .transpose()?;
        let authorities = match named {
            _ if !options.requires_client_certificate() => None,
            Some(named) => Some(named),
            None => Some(certificates::system_authorities()?),
        };
        Ok(Self {
            provider,
            certificates,
            authorities,
            remarks,
        })
    }
}

fn read_certificates(
    options: &TlsOptions,
    provider: &CryptoProvider,
    disk: &dyn Disk,
) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    let bad_pair = "error parsing X509 certificate/key pair";
    if let (Some(cert), Some(key)) = (&options.cert_file, &options.key_file) {
        let pair =
            certificates::key_pair(cert, key, provider, disk).map_err(|error| error.within(bad_pair))?;
        return Ok(vec![pair]);
    }
    let count = options.certs.len();
    let numbered = options.certs.iter().zip(1..);
    numbered
        .map(|(files, number)| {
            certificates::key_pair(&files.cert_file, &files.key_file, provider, disk)
                .map_err(|error| error.within(&format!("{bad_pair} {number}/{count}")))
        })
        .collect()
}

fn unusable(error: &impl ToString) -> TlsError {
    TlsError::new(error.to_string(), "check the settings of the tls block")
}

/// The broker's clock, so that a simulation decides what has expired.
#[derive(Debug)]
struct WallTime(Env);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.wall().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}
