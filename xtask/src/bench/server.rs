//! A server under test: started on a free port, ended by its own process.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ports below the range from which Linux takes those of outgoing connections, so that no client sits on one.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server; ends when dropped.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    pub(super) address: SocketAddr,
    /// How long it took until it accepted.
    pub(super) started_in: Duration,
    /// The size of its program.
    pub(super) program_bytes: u64,
}

impl Server {
    /// Starts `program` on loopback with the configuration `config`, the default one if it is empty, and waits until
    /// it accepts. Its log goes to `target/bench`.
    pub(super) fn start(program: &Path, target: &Path, config: &str) -> Result<Server, String> {
        let shown = program.display();
        let failed = |error: std::io::Error| format!("{shown}: {error}");
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let log = File::create(folder.join(format!("{name}.log"))).map_err(failed)?;
        let address = free_address()?;
        let program_bytes = std::fs::metadata(program).map_err(failed)?.len();
        let mut command = Command::new(program);
        if !config.is_empty() {
            let file = folder.join(format!("{name}.conf"));
            std::fs::write(&file, config).map_err(failed)?;
            if config.contains("tls") {
                write_certificate(&folder)?;
            }
            command.arg("-c").arg(file);
        }
        let begun = Instant::now();
        let process = command
            .args(["-a", "127.0.0.1", "-p", &address.port().to_string()])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let mut server = Server {
            process,
            address,
            started_in: Duration::ZERO,
            program_bytes,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.process.try_wait().map_err(failed)? {
                return Err(format!("{shown} ended with {status}; see {}", folder.display()));
            }
            if Instant::now() > deadline {
                return Err(format!("{shown} does not listen on {address}"));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        server.started_in = begun.elapsed();
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A certificate for nobody in particular: `tls.pem` and `tls.key`, of the kind that costs a server least.
fn write_certificate(folder: &Path) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.map_err(|error| format!("a certificate for the servers: {error}"))?;
    let write = |name: &str, pem: String| {
        std::fs::write(folder.join(name), pem).map_err(|error| format!("{name}: {error}"))
    };
    write("tls.pem", made.cert.pem())?;
    write("tls.key", made.signing_key.serialize_pem())
}

/// What a server calls itself.
pub(super) fn version(program: &Path) -> Result<String, String> {
    let shown = program.display();
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.trim().to_owned()),
        _ => Err(format!("{shown} --version ended with {}", output.status)),
    }
}

/// An address on which nothing listens now. Another process could take it before the server does; then the server says
/// so and the run fails visibly.
fn free_address() -> Result<SocketAddr, String> {
    let size = PORTS.end - PORTS.start;
    // Different processes begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(size)).unwrap_or(0);
    (0..size)
        .map(|step| SocketAddr::from(([127, 0, 0, 1], PORTS.start + (start + step) % size)))
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| format!("no free port from {} to {}", PORTS.start, PORTS.end))
}
