//! Dunlin as a process: its command line, what it prints, its files, and what signals do to it.
//!
//! What the log says is read as it comes; a broker is signalled by the program's own `--signal`, always by its pid.
#![allow(
    clippy::disallowed_methods,
    reason = "a test reads the files and the pipe of a process"
)]

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dunlin_tests::connection::{Connection, Event};
use dunlin_tests::paths;
use dunlin_tests::server::{Kind, Server};
use tempfile::TempDir;

use crate::logged::{Logged, PATIENCE};

pub(crate) fn program() -> PathBuf {
    paths::dunlin().unwrap_or_else(|error| panic!("{error}"))
}

/// A broker on a free port of the loopback interface, in a folder of its own. Its log has no times.
pub(crate) struct Broker {
    program: Logged,
    folder: TempDir,
}

impl Broker {
    /// Starts it with `config`, in nats.conf's syntax, and waits until it is ready.
    pub(crate) fn start(config: &str) -> Self {
        let mut broker = Self::launch(config);
        broker.until("Server is ready");
        broker
    }

    fn launch(config: &str) -> Self {
        Self::launch_with(config, &[], &[])
    }

    fn launch_with(config: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server.conf"), config).unwrap();
        let program = Logged::spawn(
            Command::new(program())
                .args(["-a", "127.0.0.1", "-p", "-1", "-T=false", "-c", "server.conf"])
                .args(arguments)
                .envs(variables.iter().copied())
                .current_dir(folder.path()),
        );
        Self { program, folder }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// See [`Logged::until`].
    pub(crate) fn until(&mut self, text: &str) {
        self.program.until(text);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let text = "[INF] Listening for client connections on ";
        let address = self
            .program
            .seen()
            .iter()
            .find_map(|line| line.strip_prefix(text));
        address.unwrap().parse().unwrap()
    }

    /// A client that is logged in.
    fn client(&self) -> Connection {
        let mut client = Connection::open(self.address()).unwrap();
        assert!(frame(&mut client).starts_with("INFO "));
        client.send(b"CONNECT {\"verbose\":false,\"protocol\":1}\r\n");
        check_alive(&mut client);
        client
    }

    pub(crate) fn signal(&self, name: &str) {
        self.signal_by(&format!("{name}={}", self.pid()));
    }

    fn signal_by(&self, target: &str) {
        let output = run(self.folder.path(), &["--signal", target]);
        assert_eq!(output, (Some(0), String::new(), String::new()), "{target}");
    }

    /// Waits for its end: the exit code, and the log's lines without the pid. What it left behind is in the folder.
    fn end(mut self) -> (Option<i32>, Vec<String>, TempDir) {
        let (code, lines) = self.program.end();
        (code, lines, self.folder)
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn frame(client: &mut Connection) -> String {
    match client.read().unwrap() {
        Event::Frame(frame) => String::from_utf8_lossy(frame.bytes()).into_owned(),
        Event::Closed(rest) => panic!("closed after {rest:?}"),
    }
}

/// A round trip, over an INFO that may stand before the answer.
fn check_alive(client: &mut Connection) {
    client.send(b"PING\r\n");
    while frame(client) != "PONG\r\n" {}
}

/// Exit code, standard output and standard error of a run that ends by itself.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs in a folder with `x.conf`; checks exit code and standard error, and that standard output is empty.
#[track_caller]
fn check_refused(config: &str, arguments: &[&str], code: i32, stderr: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.conf"), config).unwrap();
    let expected = (Some(code), String::new(), stderr.to_owned());
    assert_eq!(run(folder.path(), arguments), expected, "{arguments:?}");
}

/// Runs with a start that fails; checks the exit code and the last line of the log.
#[track_caller]
fn check_fatal(arguments: &[&str], last: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(folder.path(), arguments);
    let line = stderr.lines().last().unwrap_or_default();
    let text = line.split_once("] ").map_or(line, |(_, text)| text);
    assert_eq!((code, text), (Some(1), last), "{stderr}");
}

// CORE-129
#[test]
fn version_and_usage_are_printed_with_success() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["-v"], ["--version"], ["version"]] {
        let (code, stdout, stderr) = run(folder.path(), &arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(
            stdout.starts_with("dunlin: v") && stdout.contains("nats-server: v2."),
            "{stdout}"
        );
        assert_eq!(stdout.lines().count(), 1);
    }
    let completions = run(folder.path(), &["completions", "bash"]);
    assert!(completions.0 == Some(0) && completions.1.contains("complete -o filenames -F _dunlin dunlin"));
    let manual = run(folder.path(), &["man"]);
    assert!(manual.0 == Some(0) && manual.1.starts_with(".TH DUNLIN 1 "));
    for arguments in [["-h"], ["--help"], ["help"]] {
        let (code, stdout, stderr) = run(folder.path(), &arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(stdout.starts_with("\nUsage: dunlin [options]"), "{stdout}");
    }
}

// CORE-129: the reference ends with success here too.
#[test]
fn a_flag_that_is_not_understood_shows_the_usage_with_success() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, message) in [
        (&["-x"] as &[_], "flag provided but not defined: -x\n"),
        (&["-p", "abc"], "invalid value \"abc\" for flag -p: parse error\n"),
        (&["-p"], "flag needs an argument: -p\n"),
    ] {
        let (code, stdout, stderr) = run(folder.path(), arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), message));
        assert!(stdout.starts_with("\nUsage: dunlin [options]"), "{stdout}");
    }
}

// CORE-128, CORE-129, CORE-137
#[test]
fn what_cannot_be_obeyed_is_told_in_one_line() {
    let no_file = "dunlin: must specify [-c, --config] option to check configuration file syntax\n";
    check_refused("", &["-t"], 1, no_file);
    check_refused("", &["foo"], 1, "dunlin: unrecognized command: \"foo\"\n");
    check_refused(
        "",
        &["-c", "no"],
        1,
        "dunlin: open no: no such file or directory\n",
    );
    let log = "dunlin: error opening file: open no/x: no such file or directory\n";
    check_refused("", &["-p", "-1", "-l", "no/x"], 1, log);
    check_refused("", &["-sl", "quit=pid"], 1, "dunlin: invalid pid: pid\n");
    check_refused(
        "",
        &["-sl", "quit=pid=x"],
        1,
        "dunlin: invalid signal parameters: [x]\n",
    );
}

// CORE-124, CORE-127, CORE-129. The first column of the first line is 0, as in the reference.
#[test]
fn a_configuration_is_checked_without_being_run() {
    let test = ["-t", "-c", "x.conf"];
    let unknown = "dunlin: x.conf:1:0: unknown field \"foo\"\n\n";
    check_refused("foo = bar", &test, 1, unknown);
    // Only parsed: what does not go together shows when it is run.
    let valid = "dunlin: configuration file x.conf is valid \
                 (sha256:799d33889eaadba4e36811b7875468c52ec2587872d2604c7f0ce338aca6cd6d)\n";
    check_refused("max_payload: 9mb, max_pending: 1mb", &test, 0, valid);
    let warning = "dunlin: x.conf:1:0: invalid use of field \"ping_interval\": ping_interval should be converted to a \
                   duration\n\n  x.conf:1:0: write ping_interval: \"10s\"\n";
    check_refused("ping_interval: 10", &test, 1, warning);
    let payload = "dunlin: max_payload (9437184) cannot be higher than max_pending (1048576)\n";
    check_refused(
        "max_payload: 9mb, max_pending: 1mb",
        &["-c", "x.conf"],
        1,
        payload,
    );
}

#[test]
fn a_configuration_is_checked_converted_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let text = "port: 4333 # of the clients\nmax_payload: 9mb, max_pending: 1mb\n";
    std::fs::write(folder.path().join("x.conf"), text).unwrap();
    let config = |arguments: &[&str]| run(folder.path(), &[&["config"], arguments].concat());
    let (code, toml, remarks) = config(&["convert", "x.conf"]);
    assert_eq!((code, remarks.as_str()), (Some(0), ""));
    assert!(
        toml.contains("port = 4333") && toml.contains("# of the clients"),
        "{toml}"
    );
    std::fs::write(folder.path().join("x.toml"), &toml).unwrap();
    let (_, back, _) = config(&["convert", "x.toml", "nats.conf"]);
    assert!(back.contains("port: 4333"), "{back}");
    // What `-t` leaves to the start.
    for file in ["x.conf", "x.toml"] {
        let payload = "max_payload (9437184) cannot be higher than max_pending (1048576)\n";
        assert_eq!(
            config(&["check", file]),
            (Some(1), String::new(), payload.to_owned())
        );
    }
    let (code, explained, _) = config(&["explain", "cluster.pool_size"]);
    assert!(
        code == Some(0) && explained.starts_with("cluster.pool_size: integer\n"),
        "{explained}"
    );
    let unknown = config(&["explain", "max_paylod"]);
    let text = "dunlin: unknown key \"max_paylod\"; did you mean \"max_payload\"?\n";
    assert_eq!(unknown, (Some(1), String::new(), text.to_owned()));
    let (_, keys, _) = config(&["explain"]);
    assert!(keys.lines().any(|line| line.starts_with("log_format ")), "{keys}");
    let (_, schema, _) = config(&["schema"]);
    assert!(serde_json::from_str::<serde_json::Value>(&schema).is_ok());
}

// CORE-81 [TestNoDeadlockOnStartFailure]
#[test]
fn a_start_that_fails_ends_the_process() {
    // An address of the block for documentation, which no machine has.
    let listen = "[FTL] Error listening on port: 203.0.113.7:4222, \"listen tcp 203.0.113.7:4222: bind: cannot assign \
                  requested address\"";
    check_fatal(&["-T=false", "-a", "203.0.113.7"], listen);
    let advertised = "[FTL] Error setting server INFO with ClientAdvertise value of a:b:80, err=address a:b:80: too \
                      many colons in address";
    check_fatal(
        &["-T=false", "-p", "-1", "--client_advertise", "a:b:80"],
        advertised,
    );
    let pid_file = "[FTL] Could not write pidfile: open no/x: no such file or directory";
    check_fatal(&["-T=false", "-p", "-1", "-P", "no/x"], pid_file);
}

// CORE-80, CORE-87, CORE-124, CORE-136 [TestSignalInterruptHasSuccessfulExit, TestResolveRandomPort]
#[test]
fn the_log_tells_the_life_of_a_broker() {
    let broker = Broker::start("ping_interval: 10");
    let port = broker.address().port();
    assert_ne!(port, 4222, "any free port was asked for");
    broker.signal("quit");
    let (code, lines, _) = broker.end();
    assert_eq!(code, Some(0));
    let id = lines
        .iter()
        .find_map(|line| line.strip_prefix("[INF]   ID:       "))
        .unwrap();
    let digest = lines
        .iter()
        .find(|line| line.starts_with("[INF] Using configuration file: server.conf (sha256:"))
        .unwrap();
    let version = lines
        .iter()
        .find(|line| line.starts_with("[INF]   Version:  ") && line.contains("(NATS 2."))
        .unwrap();
    let expected = [
        "server.conf:1:0: invalid use of field \"ping_interval\": ping_interval should be converted to a duration",
        "  write ping_interval: \"10s\"",
        "[INF] Starting dunlin",
        version,
        "[INF]   Git:      [not set]",
        &format!("[INF]   Name:     {id}"),
        &format!("[INF]   ID:       {id}"),
        digest,
        &format!("[INF] Listening for client connections on 127.0.0.1:{port}"),
        "[INF] Everybody who reaches this server may connect: no users are configured",
        "[INF] Server is ready",
        "[INF] Trapped \"interrupt\" signal",
        "[INF] Initiating Shutdown...",
        "[INF] Server Exiting..",
    ];
    assert_eq!(lines, expected);
}

// CORE-87, CORE-135, CORE-136, CORE-137 [TestSignalTermHasSuccessfulExit, TestPidFile]
#[test]
fn the_ports_file_goes_with_the_process_and_the_pid_file_stays() {
    let mut broker = Broker::start("pid_file: pid, ports_file_dir: \".\"");
    let pid = broker.pid().to_string();
    // Written once the broker is ready, and before it minds signals.
    broker.signal("reopen");
    broker.until("File log re-open ignored");
    let ports = format!("{{\"nats\":[\"nats://{}\"]}}", broker.address());
    let name = program().file_name().unwrap().to_string_lossy().into_owned();
    let ports_file = format!("{name}_{pid}.ports");
    assert_eq!(read(&broker.path("pid")), pid);
    assert_eq!(read(&broker.path(&ports_file)), ports);
    broker.signal_by("term=pid");
    let (code, lines, folder) = broker.end();
    let trapped = "[INF] Trapped \"terminated\" signal".to_owned();
    assert!(code == Some(0) && lines.contains(&trapped), "{code:?} {lines:?}");
    assert_eq!(read(&folder.path().join("pid")), pid);
    assert!(!folder.path().join(ports_file).exists());
}

// CORE-135
#[test]
fn a_ports_file_that_cannot_be_written_is_no_reason_to_end() {
    let mut broker = Broker::start("ports_file_dir: nowhere");
    broker.until("[ERR] Error writing ports file (nowhere): open nowhere/");
    check_alive(&mut broker.client());
}

// CORE-136, CORE-139 [TestSignalToReOpenLogFile]
#[test]
fn a_log_file_that_was_moved_away_is_made_anew_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // At first the file is a link to where the test reads along.
    std::os::unix::fs::symlink("/dev/stderr", &log).unwrap();
    let broker = Broker::start(&format!("log_file: '{}'", log.display()));
    std::fs::rename(&log, folder.path().join("old")).unwrap();
    broker.signal("reopen");
    // Without clients that is the end. Both signals may be seen at once; the log then comes first.
    broker.signal("ldm");
    let pid = format!("[{}] ", broker.pid());
    let (code, seen, _) = broker.end();
    let log = read(&log).replace(&pid, "");
    assert_eq!(code, Some(0), "{seen:?}");
    assert!(log.starts_with("[INF] File log re-opened\n"), "{log}");
    assert!(log.ends_with("[INF] Server Exiting..\n"), "{log}");
    assert!(!seen.iter().any(|line| line.contains("re-opened")), "{seen:?}");
}

// CORE-80, AUTH-306 [TestTLSClientNoticeWithAllowNonTLS]
#[test]
fn the_log_says_whether_tls_is_required() {
    for (config, word) in [
        ("", "required"),
        ("allow_non_tls: true", "available"),
        ("allow_non_tls: true, handshake_first: true", "required"),
        ("allow_non_tls: true, handshake_first: 25ms", "available"),
    ] {
        let (allows, first) = config.split_once(", ").unwrap_or((config, ""));
        let config = format!("{allows}, tls {{ cert_file: server.pem, key_file: server.key, {first} }}");
        let server = Server::start(Kind::Dunlin, config.trim_start_matches(", ")).unwrap();
        let log = server.log();
        let said = log.lines().filter_map(|line| line.split_once("[INF] TLS "));
        let said: Vec<_> = said.map(|(_, rest)| rest).collect();
        assert_eq!(said, [format!("{word} for client connections")], "{config}");
    }
}

/// Files that a start leaves which logs a few lines into files of 100 bytes, and then fails.
fn log_files(limit: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let config = format!("log_file: '{}', {limit}", logs.join("log").display());
    std::fs::write(folder.path().join("x.conf"), config).unwrap();
    let (code, _, stderr) = run(folder.path(), &["-a", "203.0.113.7", "-c", "x.conf"]);
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    std::fs::read_dir(&logs).unwrap().count()
}

// CORE-139 [TestLogMaxArchives]
#[test]
fn old_log_files_are_kept_up_to_the_configured_number() {
    let all = log_files("logfile_size_limit: 100");
    assert!(all > 5, "{all}");
    for unlimited in ["0", "-42", "100"] {
        let limit = format!("logfile_size_limit: 100, logfile_max_num: {unlimited}");
        assert_eq!(log_files(&limit), all, "{limit}");
    }
    assert_eq!(log_files("logfile_size_limit: 100, logfile_max_num: 1"), 1);
    assert_eq!(log_files("log_size_limit: 100, log_max_num: 5"), 5);
    assert_eq!(log_files("log_max_num: 5"), 1);
}

/// What the service manager hears next.
fn heard(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 200];
    let length = manager.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

// sd_notify(3): `Type=notify` with `WatchdogSec=`.
#[test]
fn the_service_manager_hears_when_the_broker_is_ready_alive_and_about_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let variables = [
        ("NOTIFY_SOCKET", socket.to_str().unwrap()),
        ("WATCHDOG_USEC", "20000"),
    ];
    let broker = Broker::launch_with("", &[], &variables);
    // The watchdog may come first.
    let mut words = [heard(&manager), String::new()];
    while words[1].is_empty() {
        words[1] = Some(heard(&manager))
            .filter(|word| *word != words[0])
            .unwrap_or_default();
    }
    words.sort_unstable();
    assert_eq!(words, ["READY=1\nSTATUS=Ready", "WATCHDOG=1"]);
    broker.signal("quit");
    while heard(&manager) != "STOPPING=1\nSTATUS=Stopping" {}
    assert_eq!(broker.end().0, Some(0));
}

// Dunlin's own: a log for programs, each line an object.
#[test]
fn a_json_log_has_an_object_a_line() {
    let mut broker = Broker::launch_with("log_format: json", &["-T=true"], &[]);
    broker.until("Server is ready");
    broker.signal("quit");
    let (code, lines, _) = broker.end();
    // What reading the configuration found was said before there was a log.
    let objects: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(code == Some(0) && objects.len() > 8, "{lines:?}");
    for object in &objects {
        assert!(
            object["time"].is_string() && object["pid"].is_number(),
            "{object}"
        );
        assert_eq!(object["level"], "info");
    }
    assert_eq!(objects.last().unwrap()["message"], "Server Exiting..");
}

// CORE-140: the messages of a whole life, with the name that the program was started by.
#[test]
fn a_broker_logs_to_a_syslog_elsewhere() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let config = format!("remote_syslog: 'udp://{}'", daemon.local_addr().unwrap());
    let broker = Broker::launch_with(&config, &[], &[]);
    let mark = format!(
        " {}[{}]: ",
        program().file_name().unwrap().display(),
        broker.pid()
    );
    let next = || {
        let mut buffer = [0; 2000];
        let length = daemon.recv(&mut buffer).unwrap();
        let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
        let (header, text) = message.split_once(&mark).unwrap_or_else(|| panic!("{message}"));
        assert!(header.starts_with('<'), "{message}");
        text.to_owned()
    };
    assert_eq!(next(), "Starting dunlin\n");
    while next() != "Server is ready\n" {}
    broker.signal("quit");
    while next() != "Server Exiting..\n" {}
    let (code, lines, _) = broker.end();
    assert_eq!((code, lines), (Some(0), Vec::new()), "nothing on standard error");
}

// CORE-140
#[test]
fn a_syslog_that_cannot_be_is_told_at_once() {
    let network = "dunlin: error invalid network type: \"foo\"\n";
    check_refused("", &["-p", "-1", "-r", "foo://x:1"], 1, network);
    let away = "dunlin: error connecting to syslog: \"dial unix /nonexistent/x: connect: no such file or directory\"\n";
    check_refused("", &["-p", "-1", "-r", "unix:///nonexistent/x"], 1, away);
}

// CORE-83
#[test]
fn a_lame_duck_without_clients_stops_at_once() {
    let broker = Broker::start("lame_duck_grace_period: 1h, lame_duck_duration: 2h");
    broker.signal("ldm");
    let (code, lines, _) = broker.end();
    let end = [
        "[INF] Server is ready",
        "[INF] Trapped \"user defined signal 2\" signal",
        "[INF] Entering lame duck mode, stop accepting new clients",
        "[INF] Initiating Shutdown...",
        "[INF] Server Exiting..",
    ];
    assert_eq!(code, Some(0));
    assert!(lines.ends_with(&end.map(str::to_owned)), "{lines:?}");
}

// CORE-84, CORE-136, CORE-139 [TestProcessSignalTermDuringLameDuckMode]
#[test]
fn a_lame_duck_is_ended_by_an_interrupt_and_by_no_other_signal() {
    let mut broker = Broker::start("lame_duck_grace_period: 1h, lame_duck_duration: 2h");
    let mut client = broker.client();
    broker.signal("ldm");
    broker.until("Entering lame duck mode");
    for (signal, line) in [
        ("term", "Trapped \"terminated\" signal"),
        ("ldm", "Trapped \"user defined signal 2\" signal"),
        ("reopen", "File log re-open ignored, not a file logger"),
        ("reload", "Failed to reload server configuration: "),
    ] {
        broker.signal(signal);
        broker.until(line);
    }
    check_alive(&mut client);
    broker.signal("quit");
    let (code, lines, _) = broker.end();
    assert_eq!(code, Some(0));
    assert!(
        !lines.iter().any(|line| line.contains("Closing existing clients")),
        "{lines:?}"
    );
}

// CORE-84
#[test]
fn a_lame_duck_closes_its_clients_when_the_grace_period_is_over() {
    let mut broker = Broker::start("lame_duck_grace_period: 1ms, lame_duck_duration: 30s");
    let _client = broker.client();
    broker.signal("ldm");
    broker.until("[INF] Closing existing clients");
    let (code, lines, _) = broker.end();
    assert_eq!(code, Some(0));
    assert_eq!(lines.last().map(String::as_str), Some("[INF] Server Exiting.."));
}

// CORE-87: a client that reads nothing holds up the end, until a second signal comes.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let broker = Broker::start("");
    let mut client = broker.client();
    client.send(b"SUB x 1\r\n");
    let mut message = b"PUB x 1000000\r\n".to_vec();
    message.resize(message.len() + 1_000_000, b'.');
    message.extend_from_slice(b"\r\n");
    for _ in 0..24 {
        client.send(&message);
    }
    // Both signals wait while the process is stopped, so that the second cannot come too late. Which one it sees first
    // is the system's choice.
    let pid = broker.pid();
    let signals = format!("for s in STOP INT TERM CONT; do kill -s $s {pid}; done");
    assert!(
        Command::new("sh")
            .args(["-c", &signals])
            .status()
            .unwrap()
            .success()
    );
    let (code, lines, _) = broker.end();
    let (interrupt, terminated) = ("interrupt", "terminated");
    let ends = [(interrupt, terminated), (terminated, interrupt)].map(|(first, second)| {
        [
            format!("[INF] Trapped \"{first}\" signal"),
            "[INF] Initiating Shutdown...".to_owned(),
            format!("[INF] Trapped \"{second}\" signal"),
            "[WRN] Stopping at once".to_owned(),
            "[INF] Server Exiting..".to_owned(),
        ]
    });
    assert_eq!(code, Some(0));
    assert!(ends.iter().any(|end| lines.ends_with(end)), "{lines:?}");
}
