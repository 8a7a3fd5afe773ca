//! What flags do to the blocks of the configuration: TLS, clustering, JetStream, monitoring (CORE-130).

use dunlin_config::{
    ClusterOptions, Config, ConfigSection, JetStreamOptions, PeerLogin, ServerUrl, TlsOptions,
};

use super::{CliError, Flags};

impl Flags {
    /// Sets what the flags say over what the file says of these blocks.
    pub(super) fn apply_blocks(&self, config: &mut Config) -> Result<(), CliError> {
        self.apply_tls(config)?;
        self.apply_ports(config);
        self.apply_jetstream(config);
        self.apply_cluster(config)
    }

    /// Any flag of TLS rebuilds what the file says of certificates and ciphers; the rest of its block stays.
    fn apply_tls(&self, config: &mut Config) -> Result<(), CliError> {
        if self.tls == Some(false) {
            config.tls = None;
            return Ok(());
        }
        let files = [&self.tlscert, &self.tlskey, &self.tlscacert];
        if self.tls.or(self.tlsverify).is_none() && files.iter().all(|file| file.is_none()) {
            return Ok(());
        }
        let [cert_file, key_file, ca_file] = files.map(|file| file.clone().filter(|file| !file.is_empty()));
        let cert_file = Some(cert_file.ok_or(CliError::NoCertificate)?);
        let key_file = Some(key_file.ok_or(CliError::NoPrivateKey)?);
        let defaults = TlsOptions::defaults();
        let file = config.tls.take().unwrap_or_else(|| defaults.clone());
        config.tls = Some(TlsOptions {
            cert_file,
            key_file,
            ca_file,
            verify: self.tlsverify == Some(true),
            certs: defaults.certs,
            cipher_suites: defaults.cipher_suites,
            curve_preferences: defaults.curve_preferences,
            min_version: defaults.min_version,
            insecure: defaults.insecure,
            ..file
        });
        Ok(())
    }

    fn apply_ports(&self, config: &mut Config) {
        // `check` has seen that they are ports.
        let port = |flag: Option<i64>| flag.and_then(|port| i32::try_from(port).ok());
        if let Some(port) = port(self.http_port) {
            config.http_port = port;
        }
        if let Some(port) = port(self.https_port) {
            config.https_port = port;
        }
        if let Some(port) = port(self.profile) {
            config.prof_port = port;
        }
    }

    fn apply_jetstream(&self, config: &mut Config) {
        match self.jetstream {
            Some(true) => {
                config
                    .jetstream
                    .get_or_insert_with(JetStreamOptions::defaults)
                    .enabled = true;
            }
            Some(false) => config.jetstream = None,
            None => {}
        }
        if let Some(folder) = &self.store_dir {
            config.store_dir.clone_from(folder);
            if let Some(jetstream) = &mut config.jetstream {
                jetstream.store_dir.clone_from(folder);
            }
        }
    }

    fn apply_cluster(&self, config: &mut Config) -> Result<(), CliError> {
        match self.cluster.as_deref() {
            None => {}
            Some("") => config.cluster = None,
            Some(url) => {
                let cluster = config.cluster.get_or_insert_with(ClusterOptions::defaults);
                listen(cluster, url)?;
            }
        }
        let routes = self.routes.as_deref().map(routes).transpose()?;
        let Some(cluster) = &mut config.cluster else {
            return match routes {
                Some(routes) if !routes.is_empty() => Err(CliError::RoutesWithoutCluster),
                _ => Ok(()),
            };
        };
        if let Some(routes) = routes {
            cluster.routes = routes;
        }
        if let Some(name) = &self.cluster_name {
            cluster.name.clone_from(name);
        }
        if let Some(address) = &self.cluster_advertise {
            cluster.advertise.clone_from(address);
        }
        if let Some(on) = self.no_advertise {
            cluster.no_advertise = on;
        }
        if let Some(retries) = self.connect_retries {
            cluster.connect_retries = u64::try_from(retries).unwrap_or(0);
        }
        Ok(())
    }
}

/// `scheme://[user:password@]host:port`, where the port may be -1. Without a user, the file's does not count either.
fn listen(cluster: &mut ClusterOptions, text: &str) -> Result<(), CliError> {
    let text = text.trim();
    // No URL has the port -1.
    let (shown, is_random) = match text.strip_suffix(":-1") {
        Some(start) => (format!("{start}:0"), true),
        None => (text.to_owned(), false),
    };
    let url = ServerUrl::parse(&shown).ok_or(CliError::NoUrl {
        flag: "cluster",
        reason: "is no URL such as nats://127.0.0.1:6222",
    })?;
    let Some(port) = url.port else {
        return Err(CliError::NoClusterPort(url.host));
    };
    if !url.user.is_empty() && url.password.is_empty() {
        return Err(CliError::NoClusterPassword);
    }
    cluster.host = url.host;
    cluster.port = if is_random { -1 } else { i32::from(port) };
    cluster.listen = None;
    let timeout = cluster.authorization.as_ref().and_then(|login| login.timeout);
    cluster.authorization = (!url.user.is_empty()).then_some(PeerLogin {
        user: url.user,
        pass: url.password,
        timeout,
    });
    Ok(())
}

/// URLs between commas; an empty text is none.
fn routes(text: &str) -> Result<Vec<ServerUrl>, CliError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|url| {
            ServerUrl::parse(url)
                .filter(|url| !url.host.is_empty())
                .ok_or(CliError::NoUrl {
                    flag: "routes",
                    reason: "has a part that is no URL such as nats://127.0.0.1:6222",
                })
        })
        .collect()
}
