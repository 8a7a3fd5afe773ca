//! The command line beside the reference's: each invocation runs with both programs, under the name `nats-server`,
//! and exit code and standard error must be equal. What ends by itself is compared whole, a broker by what its log
//! says once it is ready. What Dunlin adds for people, how to mend a configuration, stands on indented lines and is
//! left out.
#![allow(
    clippy::disallowed_methods,
    reason = "a test runs programs and reads what they write"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dunlin_tests::server::Kind;
use dunlin_tests::skip;
use tempfile::TempDir;

use crate::logged::Logged;

/// A folder in which a program stands as `nats-server`, beside the files of a case.
fn installed(kind: Kind, files: &[(&str, &str)]) -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nats-server");
    let original = kind.program().unwrap().unwrap();
    std::os::unix::fs::symlink(original, &program).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    (program, folder)
}

/// Exit code, standard output and standard error.
fn run(kind: Kind, files: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let (program, folder) = installed(kind, files);
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A broker's lines that are its log: without the process id, and only those of grave levels.
fn fatal_lines(stderr: &str) -> Vec<String> {
    let texts = stderr
        .lines()
        .map(|line| line.split_once("] ").map_or(line, |(_, text)| text));
    texts
        .filter(|text| text.starts_with("[FTL]"))
        .map(str::to_owned)
        .collect()
}

fn without_remedies(stderr: &str) -> String {
    let lines = stderr.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("  ")).collect()
}

/// What is compared of an invocation.
#[derive(Clone, Copy)]
enum Compared {
    /// Everything.
    All,
    /// Not standard output, but that it begins with the usage.
    Usage,
    /// Exit code and fatal lines of the log.
    Fatal,
}

#[track_caller]
fn check(compared: Compared, files: &[(&str, &str)], arguments: &[&str]) {
    let reference = run(Kind::Reference, files, arguments);
    let mut dunlin = run(Kind::Dunlin, files, arguments);
    dunlin.2 = without_remedies(&dunlin.2);
    match compared {
        Compared::All => assert_eq!(dunlin, reference),
        Compared::Usage => {
            assert_eq!((dunlin.0, &dunlin.2), (reference.0, &reference.2));
            for stdout in [&dunlin.1, &reference.1] {
                assert!(stdout.starts_with("\nUsage: nats-server [options]"), "{stdout}");
            }
        }
        Compared::Fatal => {
            let lines = fatal_lines(&reference.2);
            assert!(!lines.is_empty(), "the reference starts: {}", reference.2);
            assert_eq!(
                (dunlin.0, fatal_lines(&dunlin.2)),
                (reference.0, lines),
                "{}",
                dunlin.2
            );
        }
    }
}

/// Invocations, each a test: its name, what is compared, the file `x.conf`, and the arguments.
macro_rules! invocations {
    ($($(#[$about:meta])* $name:ident: $compared:ident $config:literal $arguments:expr;)*) => {
        $(
            $(#[$about])*
            #[test]
            fn $name() {
                if Kind::Reference.program().is_ok_and(|program| program.is_none()) {
                    skip!("the reference server is not installed");
                }
                check(Compared::$compared, &[("x.conf", $config)], &$arguments);
            }
        )*
    };
}

invocations! {
    // CORE-129 [TestConfigureOptions]
    version_flag: All "" ["-v"];
    version_by_its_long_name: All "" ["--version"];
    version_word: All "" ["-p", "1", "VERSION", "more"];
    version_before_help: All "" ["-h", "-v"];
    help: Usage "" ["-h"];
    help_word: Usage "" ["help"];
    // CORE-128, CORE-129 [TestConfigureOptions]
    unknown_flag: Usage "" ["-xxx", "foo"];
    unknown_flag_with_a_value: Usage "" ["--nope=1"];
    flag_without_its_value: Usage "" ["-p"];
    number_that_is_none: Usage "" ["-p", "abc"];
    number_that_is_too_large: Usage "" ["--log_size_limit", "99999999999999999999"];
    boolean_that_is_none: Usage "" ["-D=maybe"];
    too_many_dashes: Usage "" ["---x"];
    flag_without_a_name: Usage "" ["-=x"];
    // CORE-128 [TestProcessCommandLineArgs]
    unknown_word: All "" ["foo", "-v"];
    word_behind_a_boolean: All "" ["-D", "false"];
    empty_word: All "" [""];
    dash_alone: All "" ["-"];
    double_dash_ends_the_flags: All "" ["--", "-v"];
    // CORE-137 [TestConfigureOptions, TestProcessSignalInvalidCommand, TestProcessSignalInvalidPid]
    signal_that_is_unknown: All "" ["--signal", "foo=1"];
    signal_to_no_pid: All "" ["-sl", "quit=abc"];
    signal_with_too_much: All "" ["-sl", "quit=pid=foo=bar"];
    signal_to_nobody: All "" ["-sl", "quit=4194305"];
    signal_by_a_pid_file: All "4194305" ["-sl=term=x.conf"];
    signal_by_a_pid_file_without_a_pid: All "none" ["-sl=term=x.conf"];
    // CORE-129, CORE-123 [TestConfigureOptions]
    check_without_a_file: All "" ["-t"];
    check_of_no_file: All "" ["-t", "-c", "none.conf"];
    check_of_a_good_file: All "port: 1, authorization { user: a, password: b }" ["-t", "-c", "x.conf"];
    check_looks_at_no_other_flag: All "port: 1" ["-t", "-c", "x.conf", "--cluster", "abc"];
    check_of_an_unknown_key: All "foo = bar" ["-t", "-c", "x.conf"];
    check_of_a_wrong_type: All "port: 4222\nmax_payload: yes" ["-t", "-c", "x.conf"];
    check_of_a_syntax_error: All "port: 4222\nfoo {\n" ["-t", "-c", "x.conf"];
    file_with_an_error: All "foo = bar" ["-p", "-1", "-c", "x.conf"];
    file_that_is_missing: All "" ["-c", "none.conf"];
    folder_as_a_file: All "" ["-c", "."];
    // CORE-127
    payload_above_pending: All "max_payload: 9mb, max_pending: 1mb" ["-c", "x.conf"];
    // CORE-85 [TestLameDuckOptionsValidation]
    grace_above_the_duration: All "lame_duck_grace_period: '1m', lame_duck_duration: '30s'" ["-c", "x.conf"];
    // CORE-130 [TestRouteFlagOverride, TestClusterFlagsOverride]
    cluster_without_a_port: All "" ["--cluster", "nats://127.0.0.1"];
    cluster_that_is_no_url: All "" ["--cluster_listen", "abc"];
    cluster_without_a_password: All "" ["--cluster", "nats://a@127.0.0.1:1"];
    routes_without_a_cluster: All "" ["--routes", "nats://127.0.0.1:1"];
    routes_with_a_cluster_switched_off: All "cluster { port: -1 }" ["-c", "x.conf", "--cluster=", "--routes", "nats://h:1"];
    // CORE-130
    tls_without_a_certificate: All "" ["--tls"];
    tls_verified_without_a_certificate: All "" ["--tlsverify=false"];
    tls_without_a_key: All "" ["--tlscert", "x.conf"];
    // CORE-81 [TestNoDeadlockOnStartFailure]
    address_of_another_machine: Fatal "" ["-T=false", "-a", "203.0.113.7"];
    // CORE-144 [TestClientAdvertiseErrorOnStartup]
    advertised_address_with_too_many_colons: Fatal "client_advertise: 'a:::1'" ["-T=false", "-a", "127.0.0.1", "-p", "-1", "-c", "x.conf"];
    advertised_port_that_is_none: Fatal "" ["-T=false", "-a", "127.0.0.1", "-p", "-1", "--client_advertise", "a:b"];
    // CORE-81
    pid_file_nowhere: Fatal "" ["-T=false", "-a", "127.0.0.1", "-p", "-1", "-P", "no/x"];
}

/// A broker on a free port, under the name `nats-server`.
struct Broker {
    process: Logged,
    program: PathBuf,
    folder: TempDir,
}

impl Broker {
    fn start(kind: Kind, config: &str, arguments: &[&str]) -> Self {
        let (program, folder) = installed(kind, &[("x.conf", config)]);
        let process = Logged::spawn(
            Command::new(&program)
                .args(["-a", "127.0.0.1", "-p", "-1", "-T=false", "-c", "x.conf"])
                .args(arguments)
                .current_dir(folder.path()),
        );
        Self {
            process,
            program,
            folder,
        }
    }

    /// See [`Logged::until`].
    fn until(&mut self, text: &str) {
        self.process.until(text);
    }

    fn signal(&self, name: &str) {
        let target = format!("{name}={}", self.process.pid());
        let status = Command::new(&self.program)
            .args(["--signal", &target])
            .status()
            .unwrap();
        assert!(status.success(), "{target}");
    }

    /// Its exit code, and what the log said from `Server is ready` on, without the process id.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let (code, lines) = self.process.end();
        (code, since_ready(lines))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn since_ready(lines: Vec<String>) -> Vec<String> {
    let is_before = |line: &String| line != "[INF] Server is ready";
    lines.into_iter().skip_while(is_before).collect()
}

/// Starts both with a configuration, sends signals, each of which makes the log say a line, and compares exit codes
/// and logs.
#[track_caller]
fn check_life(config: &str, arguments: &[&str], signals: &[(&str, &str)]) {
    if Kind::Reference.program().is_ok_and(|program| program.is_none()) {
        skip!("the reference server is not installed");
    }
    let live = |kind| {
        let mut broker = Broker::start(kind, config, arguments);
        broker.until("Server is ready");
        for (signal, line) in signals {
            broker.signal(signal);
            if !line.is_empty() {
                broker.until(line);
            }
        }
        broker.end()
    };
    assert_eq!(live(Kind::Dunlin), live(Kind::Reference));
}

// CORE-87, CORE-136 [TestSignalInterruptHasSuccessfulExit]
#[test]
fn life_that_an_interrupt_ends() {
    check_life("", &[], &[("quit", "Server Exiting..")]);
}

// CORE-87, CORE-136 [TestSignalTermHasSuccessfulExit]
#[test]
fn life_that_a_termination_ends() {
    check_life("", &[], &[("term", "Server Exiting..")]);
}

// CORE-83, CORE-136
#[test]
fn life_of_a_lame_duck_without_clients() {
    check_life("", &[], &[("ldm", "Server Exiting..")]);
}

// CORE-136, CORE-139 [TestReOpenLogFile]
#[test]
fn life_with_a_log_that_is_no_file() {
    check_life(
        "",
        &[],
        &[("reopen", "re-open ignored"), ("quit", "Server Exiting..")],
    );
}

// CORE-136: a killed process says nothing more.
#[test]
fn life_that_is_killed() {
    check_life("", &[], &[("stop", "")]);
}

/// What both write to the log file `x.log`, with and without a reopen after a rename.
fn file_logs(kind: Kind) -> (Option<i32>, Vec<String>, Vec<String>) {
    let mut broker = Broker::start(kind, "", &["-l", "x.log", "-P", "x.pid"]);
    let pid = format!("[{}] ", broker.process.pid());
    let wait = |path: &Path, text: &str| {
        // The file is the only sign.
        while !std::fs::read_to_string(path).is_ok_and(|log| log.contains(text)) {
            std::thread::yield_now();
        }
    };
    let (log, old) = (broker.path("x.log"), broker.path("old.log"));
    wait(&log, "Server is ready");
    std::fs::rename(&log, &old).unwrap();
    broker.signal("reopen");
    wait(&log, "File log re-opened");
    broker.signal("quit");
    let (code, _) = broker.process.end();
    let lines = |path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap().replace(&pid, "");
        text.lines().map(str::to_owned).collect()
    };
    (code, since_ready(lines(old)), lines(log))
}

// CORE-136, CORE-139 [TestSignalToReOpenLogFile]
#[test]
fn log_file_that_is_moved_away() {
    if Kind::Reference.program().is_ok_and(|program| program.is_none()) {
        skip!("the reference server is not installed");
    }
    assert_eq!(file_logs(Kind::Dunlin), file_logs(Kind::Reference));
}
