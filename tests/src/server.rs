//! Servers under test: Dunlin and the reference, each in a process of its own that ends with its handle.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::{certificates, paths};

/// How long a server may take until it is ready. Only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(30);

/// The log line that names the address of the client listener.
const LISTENING: &str = "Listening for client connections on ";

/// The log line after which every listener is up.
const READY: &str = "Server is ready";

/// What the log says at the end of a reload.
const OUTCOMES: [&str; 2] = [
    "Reloaded server configuration",
    "Failed to reload server configuration",
];

/// Which server a test runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The broker of this build.
    Dunlin,
    /// nats-server of the release that Dunlin is held against.
    Reference,
}

impl Kind {
    /// The program. `None`: the reference is not installed on this machine.
    ///
    /// # Errors
    /// Dunlin does not build.
    pub fn program(self) -> Result<Option<PathBuf>, String> {
        match self {
            Kind::Dunlin => paths::dunlin().map(Some),
            Kind::Reference => Ok(paths::tool("nats-server")),
        }
    }
}

/// What a program says of a configuration that it only checks, or that it does not start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The exit code. `None`: it started, or was ended by a signal.
    pub code: Option<i32>,
    /// What it wrote to standard error, without its own name at the start and without what Dunlin adds for people:
    /// lines that begin with two blanks, and those about keys without effect.
    pub lines: Vec<String>,
}

impl Verdict {
    /// Has a program judge `files`, of which `server.conf` is the configuration; with `-t` if `only_check`. It runs
    /// under the name `nats-server`, because its name begins what it says.
    ///
    /// # Errors
    /// The program is not installed, or neither ended nor was ready in time.
    pub fn of(kind: Kind, files: &[(String, String)], only_check: bool) -> Result<Verdict, String> {
        let program = kind
            .program()?
            .ok_or("the reference server is not installed: cargo xtask tools")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).map_err(|error| error.to_string())?;
        }
        let arguments: &[&str] = if only_check { &["-t"] } else { &["-a", "127.0.0.1"] };
        let mut command = Command::new(&program);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, "nats-server");
        let (mut process, lines) = Process::spawn(command.args(arguments), &folder)?;
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(READY) => break,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("{} hangs:\n{}", program.display(), process.log.text()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = process.child.wait().map_err(|error| error.to_string())?;
                    let text = process.log.text();
                    let unnamed = |line: &str| line.strip_prefix("nats-server: ").unwrap_or(line).to_owned();
                    let lines = text.lines().filter(|line| !line.is_empty() && !is_own(line));
                    return Ok(Verdict {
                        code: status.code(),
                        lines: lines.map(unnamed).collect(),
                    });
                }
            }
        }
        Ok(Verdict {
            code: None,
            lines: vec!["(started)".to_owned()],
        })
    }
}

/// Whether Dunlin alone says it.
fn is_own(line: &str) -> bool {
    line.starts_with("  ") || line.ends_with("has no effect yet in this version of Dunlin")
}

/// A running server on a free port of the loopback interface. Its process is ended, and waited for, on drop.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    process: Process,
}

impl Server {
    /// Starts a server with a configuration in the syntax of nats.conf. Beside one with TLS lie the files of
    /// [`certificates::write`]. Host and port are set by flags, and what it
    /// logs must go to standard error: its log says when and where it listens.
    ///
    /// # Errors
    /// The program is not installed, ended by itself or was not ready in time; with all that it logged.
    pub fn start(kind: Kind, config: &str) -> Result<Server, String> {
        let program = kind
            .program()?
            .ok_or("the reference server is not installed: cargo xtask tools")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        std::fs::write(folder.path().join("server.conf"), config).map_err(|error| error.to_string())?;
        if config.contains("tls") {
            certificates::write(folder.path())?;
        }
        let (process, address) = Process::start(&program, &folder, -1)?;
        Ok(Server {
            kind,
            program,
            folder,
            address,
            process,
        })
    }

    /// The same, with a process that may have so many open files.
    ///
    /// # Errors
    /// Like [`Server::start`].
    pub fn start_with_descriptors(kind: Kind, config: &str, most: u32) -> Result<Server, String> {
        let program = kind
            .program()?
            .ok_or("the reference server is not installed: cargo xtask tools")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let shell = PathBuf::from("/bin/sh");
        std::fs::write(folder.path().join("server.conf"), config).map_err(|error| error.to_string())?;
        // The shell gives its place to the program: the process keeps its id.
        let line = format!("ulimit -n {most}; exec '{}' \"$@\"", program.display());
        let (process, address) = Process::start_by(&shell, &["-c", &line, "sh"], &folder, -1)?;
        Ok(Server {
            kind,
            program,
            folder,
            address,
            process,
        })
    }

    /// Which server this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as an URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// The temporary folder with `server.conf`; it is the server's working directory and goes with the handle.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Everything it has logged until now.
    pub fn log(&self) -> String {
        self.process.log.text()
    }

    /// Writes another configuration and sends the signal to reload it. Returns what the log says about it, from the signal
    /// to the outcome, without pid and time: lines for operators, none of debug or trace.
    ///
    /// # Errors
    /// The file cannot be written, or the server does not come to an outcome.
    pub fn reload(&self, config: &str) -> Result<Vec<String>, String> {
        std::fs::write(self.folder().join("server.conf"), config).map_err(|error| error.to_string())?;
        let before = self.log().len();
        let sent = Command::new("kill")
            .args(["-HUP", &self.pid().to_string()])
            .status();
        if !sent.is_ok_and(|status| status.success()) {
            return Err("the signal cannot be sent".to_owned());
        }
        let text = self.process.log.wait_until(|text| {
            let news = text.get(before..)?;
            // What was logged before may still have been on its way.
            let news = news.get(news.find("Trapped \"hangup\" signal")?..)?;
            let outcome = OUTCOMES.iter().find_map(|outcome| news.find(outcome))?;
            let end = outcome + news.get(outcome..)?.find('\n')?;
            news.get(..end).map(str::to_owned)
        })?;
        let shown = ["[INF] ", "[WRN] ", "[ERR] "];
        let lines = text.lines().skip(1).filter_map(|line| {
            let level = shown.iter().find_map(|level| line.find(level))?;
            line.get(level..).map(str::to_owned)
        });
        Ok(lines.collect())
    }

    /// Ends the process and starts it again on the same port.
    ///
    /// # Errors
    /// Like [`Server::start`].
    pub fn restart(&mut self) -> Result<(), String> {
        self.process.end();
        let (process, address) = Process::start(&self.program, &self.folder, i32::from(self.address.port()))?;
        self.process = process;
        self.address = address;
        Ok(())
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    log: Log,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    fn start(program: &PathBuf, folder: &TempDir, port: i32) -> Result<(Process, SocketAddr), String> {
        Process::start_by(program, &[], folder, port)
    }

    fn start_by(
        program: &PathBuf,
        first: &[&str],
        folder: &TempDir,
        port: i32,
    ) -> Result<(Process, SocketAddr), String> {
        let shown = program.display();
        let port = port.to_string();
        let arguments = [first, &["-a", "127.0.0.1", "-p", &port]].concat();
        let (process, lines) = Process::spawn(Command::new(program).args(arguments), folder)?;
        let mut address = None;
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some((_, found)) = line.split_once(LISTENING) {
                        address = found.trim().parse().ok();
                    } else if line.contains(READY) {
                        let address = address.ok_or_else(|| {
                            format!("{shown} did not say where it listens:\n{}", process.log.text())
                        })?;
                        return Ok((process, address));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("{shown} is not ready:\n{}", process.log.text()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("{shown} ended:\n{}", process.log.text()));
                }
            }
        }
    }

    /// Runs a program with `server.conf` beside its other arguments, and gives what it logs line by line.
    fn spawn(command: &mut Command, folder: &TempDir) -> Result<(Process, Receiver<String>), String> {
        let shown = command.get_program().display().to_string();
        let mut child = command
            .args(["-c", "server.conf"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{shown}: {error}"))?;
        let log = Log::default();
        let (lines, reader) = match child.stderr.take() {
            Some(stderr) => log.follow(stderr),
            None => return Err(format!("{shown}: no standard error")),
        };
        let process = Process {
            child,
            log,
            reader: Some(reader),
        };
        Ok((process, lines))
    }

    fn end(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a process has written, kept by a thread so that its pipe never fills.
#[derive(Clone, Debug, Default)]
struct Log(Arc<(Mutex<String>, Condvar)>);

impl Log {
    fn follow(&self, stderr: ChildStderr) -> (Receiver<String>, JoinHandle<()>) {
        let (sender, lines) = channel();
        let log = self.clone();
        let reader = std::thread::spawn(move || {
            // Lossy: a log may hold bytes of a client.
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr
                .by_ref()
                .read_until(b'\n', &mut line)
                .is_ok_and(|size| size > 0)
            {
                let text = String::from_utf8_lossy(&line).into_owned();
                log.lock().push_str(&text);
                log.0.1.notify_all();
                // Nobody listens once the server is ready.
                let _ = sender.send(text);
                line.clear();
            }
        });
        (lines, reader)
    }

    fn text(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `found` finds something in the text.
    fn wait_until<T>(&self, mut found: impl FnMut(&str) -> Option<T>) -> Result<T, String> {
        let mut text = self.lock();
        loop {
            if let Some(found) = found(&text) {
                return Ok(found);
            }
            let (next, timeout) = self
                .0
                .1
                .wait_timeout(text, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            text = next;
            if timeout.timed_out() {
                return Err(format!("the log does not say what is waited for:\n{}", *text));
            }
        }
    }
}
