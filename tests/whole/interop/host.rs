//! What the interop tests need from their machine: servers that can be restarted, and installed clients.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Which server a test runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dunlin,
    Reference,
}

/// A running server with an empty configuration. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    address: SocketAddr,
    process: Child,
}

impl Server {
    /// `None`: it is not installed, which is reported.
    pub(crate) fn start(kind: Kind) -> Option<Server> {
        let program = match kind {
            Kind::Dunlin => dunlin(),
            Kind::Reference => tool("nats-server")?,
        };
        let address = free_address();
        let process = spawn(&program, address);
        Some(Server {
            program,
            address,
            process,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Ends the process and starts it again on the same port.
    pub(crate) fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&self.program, self.address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A tool that `cargo xtask tools` installed. `None`: it is not there, which is reported.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("DUNLIN_TOOLS") {
        Some(folder) => PathBuf::from(folder),
        None => programs().parent().unwrap_or(Path::new("target")).join("tools"),
    };
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not installed", path.display());
    None
}

/// A file of the folder `tests`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The broker of this build. A test of it must never be skipped, so a missing one is an error.
fn dunlin() -> PathBuf {
    let program = programs().join(format!("dunlin{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.exists(),
        "no {}: build it first, `cargo build -p dunlin`",
        program.display()
    );
    program
}

/// The folder of this profile's programs: the test binary is in its `deps`.
fn programs() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().to_path_buf()
}

fn spawn(program: &Path, address: SocketAddr) -> Child {
    let mut process = Command::new(program)
        .args(["-a", "127.0.0.1", "-p", &address.port().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        assert_eq!(process.try_wait().unwrap(), None, "{} ended", program.display());
        assert!(
            Instant::now() < deadline,
            "{} does not listen on {address}",
            program.display()
        );
        std::thread::yield_now();
    }
    process
}

/// A port below those of outgoing connections, a different one for each test of this process.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 11_000).unwrap();
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000 + (start + step) % 11_000));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
