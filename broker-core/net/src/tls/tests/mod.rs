//! Handshakes and streams on the simulated network, with clients of rustls's own.

mod certificates;
mod handshake;
mod peer;
mod stream;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use dunlin_api::config::{Config, ConfigSection, Format, MapSource, TlsOptions};
use dunlin_api::{ByteStream, Disk, Env, Logger, MemoryDisk, Network, Socket};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::sim::{LinkRules, SimWorld, sim_env_with};

use super::*;
use peer::Peer;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// An authority, and what it issues.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `names`, made different by `change`.
    fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate, key }
    }
}

/// A server's machine and a client's, an authority, and files for the server.
struct Bench {
    world: SimWorld,
    env: Env,
    disk: MemoryDisk,
    authority: Authority,
}

impl Bench {
    fn new() -> Self {
        Self::with(1, LinkRules::default())
    }

    fn with(seed: u64, rules: LinkRules) -> Self {
        let world = SimWorld::new(seed);
        world.link(CLIENT, SERVER, rules);
        let disk = MemoryDisk::default();
        let env = sim_env_with(seed, world.host(SERVER), Logger::silent(), disk.clone());
        let bench = Self {
            world,
            env,
            disk,
            authority: Authority::new("Test Authority"),
        };
        bench.put("ca.pem", &bench.authority.pem);
        bench.put_pair("server", &bench.authority.issue(&["server.test"], |_| {}));
        bench
    }

    fn put(&self, path: &str, text: &str) {
        self.disk.replace(Path::new(path), text.as_bytes()).unwrap();
    }

    /// Writes `<name>.pem` and `<name>.key`.
    fn put_pair(&self, name: &str, issued: &Issued) {
        self.put(&format!("{name}.pem"), &issued.certificate.pem());
        self.put(&format!("{name}.key"), &issued.key.serialize_pem());
    }

    /// What a `tls` block with these lines gives; `cert_file` and `key_file` are the server's unless the lines name some.
    fn server(&self, lines: &str) -> Result<ServerTls, TlsError> {
        ServerTls::load(&options(lines), &self.env)
    }

    /// A connection: the client's end, and the server's before its handshake.
    async fn connect(&self) -> (ByteStream, Arc<TlsStream>) {
        let mut acceptor = self
            .world
            .host(SERVER)
            .bind(SocketAddr::new(SERVER, 0))
            .await
            .unwrap();
        let client = self.world.host(CLIENT).connect(acceptor.local()).await.unwrap();
        let server = acceptor.accept().await.unwrap().open().unwrap();
        (client, TlsStream::new(server))
    }

    /// A handshake of `peer` with a server of these lines; both sides' views of it.
    async fn shake(
        &self,
        lines: &str,
        peer: rustls::ClientConfig,
    ) -> (Result<Agreed, String>, Result<Peer, String>, Arc<TlsStream>) {
        let tls = self.server(lines).unwrap();
        let (client, stream) = self.connect().await;
        let (server, client) = tokio::join!(
            async {
                let done = stream.accept(&tls, &self.env).await;
                if done.is_err() {
                    // What a listener does then.
                    stream.shutdown();
                }
                done
            },
            Peer::connect(client, peer, "server.test")
        );
        (server.map_err(|error| error.to_string()), client, stream)
    }

    fn client(&self) -> rustls::ClientConfig {
        peer::config(&self.authority.pem, None)
    }

    fn client_with(&self, issued: &Issued) -> rustls::ClientConfig {
        peer::config(&self.authority.pem, Some(issued))
    }
}

fn options(lines: &str) -> TlsOptions {
    let files = if lines.contains("cert_file") {
        ""
    } else {
        "cert_file: server.pem, key_file: server.key\n"
    };
    let text = format!("tls {{ {files}{lines}\n }}");
    let loaded = Config::load_content(
        text.as_bytes(),
        "test.conf",
        Format::NatsConf,
        &MapSource::default(),
    );
    loaded.unwrap().config.tls.unwrap()
}

fn paused<F: Future>(test: impl FnOnce() -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async { test().await })
}
