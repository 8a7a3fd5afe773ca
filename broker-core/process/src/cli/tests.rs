//! Tests of the command line as a whole.

use dunlin_config::{Config, Format, LogFormat, MapSource, Secret, ServerUrl, TlsVersion};

use super::*;
use crate::Program;

fn parsed(line: &str) -> Result<Command, CliError> {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&arguments)
}

#[track_caller]
fn flags(line: &str) -> Flags {
    match parsed(line) {
        Ok(Command::Run(flags)) => *flags,
        other => panic!("{line}: {other:?}"),
    }
}

/// `file` is nats.conf; the outcome of `line` over it.
#[track_caller]
fn applied(file: &str, line: &str) -> Result<Config, CliError> {
    let source = MapSource::new().file("x.conf", file);
    let mut config = match file {
        "" => Config::default(),
        _ => Config::load("x.conf", &source).unwrap().config,
    };
    flags(line).apply(&mut config)?;
    Ok(config)
}

#[track_caller]
fn levels(file: &str, line: &str) -> [bool; 3] {
    let config = applied(file, line).unwrap();
    [config.debug, config.trace, config.trace_verbose]
}

/// The error's text, and whether the usage is shown and the exit code therefore 0.
#[track_caller]
fn check_error(line: &str, text: &str, shows_usage: bool) {
    let error = parsed(line).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.shows_usage()),
        (text, shows_usage),
        "{line}"
    );
}

// CORE-128 [TestConfigureOptions]
#[test]
fn one_dash_two_dashes_and_equals_are_the_same() {
    for line in ["-p 4333", "-port 4333", "--port 4333", "--port=4333", "-p=4333"] {
        assert_eq!(flags(line).port, Some(4333), "{line}");
    }
    assert_eq!(flags("-p -1").port, Some(-1));
    assert_eq!(flags("-a 127.0.0.1 -p 9090").host.as_deref(), Some("127.0.0.1"));
    assert_eq!(flags("-sd=a=b -n=x=y").name.as_deref(), Some("x=y"));
}

// CORE-128
#[test]
fn numbers_have_gos_spellings() {
    for (text, number) in [
        ("0x10", 16),
        ("0b11", 3),
        ("0o17", 15),
        ("017", 15),
        ("1_000", 1000),
        ("+7", 7),
    ] {
        assert_eq!(flags(&format!("-p {text}")).port, Some(number), "{text}");
    }
    assert_eq!(
        flags("-log_size_limit -9223372036854775808").log_size_limit,
        Some(i64::MIN)
    );
    for text in ["abc", "0x", "1__0", "_1", "1_", "09", "1.5", "--", "٣"] {
        let error = parsed(&format!("-p {text}")).unwrap_err();
        assert!(
            matches!(
                error,
                CliError::BadValue {
                    reason: "parse error",
                    ..
                }
            ),
            "{text}: {error}"
        );
    }
}

// CORE-128: booleans take a value only behind an equals sign.
#[test]
fn booleans_stand_alone_or_behind_an_equals_sign() {
    assert_eq!(flags("-D").debug, Some(true));
    assert_eq!(flags("-D=false").debug, Some(false));
    assert_eq!(flags("--debug=T -debug=0").debug, Some(false));
    assert_eq!(parsed("-D false"), Err(CliError::UnknownCommand("false".into())));
}

// CORE-129 [TestConfigureOptions]
#[test]
fn a_flag_that_is_not_understood_shows_the_usage() {
    check_error("-xxx foo", "flag provided but not defined: -xxx", true);
    check_error("--nope=1", "flag provided but not defined: -nope", true);
    check_error("-p abc", "invalid value \"abc\" for flag -p: parse error", true);
    check_error(
        "-D=maybe",
        "invalid boolean value \"maybe\" for -D: parse error",
        true,
    );
    check_error("-p", "flag needs an argument: -p", true);
    check_error("---x", "bad flag syntax: ---x", true);
    check_error("-=x", "bad flag syntax: -=x", true);
    let huge = "invalid value \"99999999999999999999\" for flag -port: value out of range";
    check_error("--port 99999999999999999999", huge, true);
    check_error("-v -xxx", "flag provided but not defined: -xxx", true);
}

// CORE-129 [TestConfigureOptions, TestProcessCommandLineArgs]
#[test]
fn the_first_word_ends_the_flags_and_is_a_command() {
    check_error("foo -p 9090", "unrecognized command: \"foo\"", false);
    check_error("fo\"o", "unrecognized command: \"fo\\\"o\"", false);
    check_error("-", "unrecognized command: \"-\"", false);
    check_error("-- -v", "unrecognized command: \"-v\"", false);
    for (line, command) in [
        ("version", Command::Version),
        ("VERSION", Command::Version),
        ("help", Command::Help),
        ("plugins", Command::Plugins),
        ("-- version", Command::Version),
        ("-p 9090 help -xxx", Command::Help),
    ] {
        assert_eq!(parsed(line), Ok(command), "{line}");
    }
    assert_eq!(
        parse(&[String::new()]),
        Err(CliError::UnknownCommand(String::new()))
    );
    assert!(matches!(parsed("--"), Ok(Command::Run(_))));
}

// CORE-129 [TestConfigureOptions]
#[test]
fn what_is_shown_comes_before_everything_else() {
    for (line, command) in [
        ("-v", Command::Version),
        ("--version foo", Command::Version),
        ("-h -v", Command::Version),
        ("-h", Command::Help),
        ("--help -help_tls", Command::Help),
        ("-help_tls", Command::HelpTls),
        ("-v -js -sl quit -t", Command::Version),
    ] {
        assert_eq!(parsed(line), Ok(command), "{line}");
    }
    assert!(matches!(parsed("-v=false"), Ok(Command::Run(_))));
}

// CORE-129
#[test]
fn a_check_needs_a_file() {
    let text = "must specify [-c, --config] option to check configuration file syntax";
    check_error("-t", text, false);
    check_error("-t -c=", text, false);
    let file = "x.conf".to_owned();
    assert_eq!(parsed("-t -c x.conf -js"), Ok(Command::Test { file }));
}

// CORE-137 [TestConfigureOptions]
#[test]
fn a_signal_has_a_name_and_perhaps_a_target() {
    for (line, name, target) in [
        ("-sl quit", "quit", ""),
        ("--signal quit=12", "quit", "12"),
        ("--signal=quit=12*", "quit", "12*"),
        ("-sl stop=/run/x.pid -t", "stop", "/run/x.pid"),
    ] {
        let command = Command::Signal {
            name: name.into(),
            target: target.into(),
        };
        assert_eq!(parsed(line), Ok(command), "{line}");
    }
    check_error("-sl quit=pid=foo", "invalid signal parameters: [foo]", false);
    check_error(
        "-sl quit=pid=foo=bar",
        "invalid signal parameters: [foo bar]",
        false,
    );
}

// CORE-128, CORE-130 [TestConfigureOptions]
#[test]
fn a_flag_of_tls_rebuilds_tls_and_false_switches_it_off() {
    let file = "tls { cert_file: a, key_file: b, verify: true, min_version: '1.3', timeout: 7 }";
    let tls = |line: &str| applied(file, line).unwrap().tls;
    let rebuilt = tls("--tlscert c --tlskey d --tlscacert e").unwrap();
    let files = [&rebuilt.cert_file, &rebuilt.key_file, &rebuilt.ca_file];
    assert_eq!(
        files.map(|file| file.as_deref()),
        [Some("c"), Some("d"), Some("e")]
    );
    assert_eq!((rebuilt.verify, rebuilt.min_version), (false, TlsVersion::V1_2));
    assert_eq!(
        rebuilt.timeout,
        tls("").unwrap().timeout,
        "no part of the certificates"
    );
    assert!(tls("--tlsverify --tlscert c --tlskey d").unwrap().verify);
    assert_eq!(tls("--tls=false"), None);
    assert_eq!(tls("--tls=false --tlscert c"), None);
    for line in [
        "--tls",
        "--tlsverify",
        "--tlsverify=false",
        "--tlskey d",
        "--tlscert=",
    ] {
        let text = "TLS Server certificate must be present and valid";
        assert_eq!(applied("", line).unwrap_err().to_string(), text, "{line}");
    }
    let text = "TLS Server private key must be present and valid";
    assert_eq!(applied("", "--tls --tlscert c").unwrap_err().to_string(), text);
}

// CORE-128
#[test]
fn a_flag_without_effect_is_noted_unless_it_switches_off() {
    let noted = |line: &str| flags(line).without_effect;
    assert_eq!(
        noted("-m 8222 -http_port 8223 -profile 6060 -no_advertise -js"),
        ["http_port", "profile", "no_advertise", "jetstream"]
    );
    assert_eq!(
        noted("-js -jetstream=false -sd= -routes= --cluster="),
        Vec::<&str>::new()
    );
}

// CORE-128: the flags of the reference's own usage.
#[test]
fn every_flag_of_the_reference_is_known() {
    let names = "a addr net p port n name server_name client_advertise P pid ports_file_dir m http_port ms https_port c \
                 config t sl signal l log log_size_limit s syslog r remote_syslog T logtime logtime_utc \
                 max_traced_msg_len D debug V trace VV DV DVV js jetstream sd store_dir user pass auth tls tlsverify \
                 tlscert tlskey tlscacert routes cluster cluster_listen cluster_name cluster_advertise no_advertise \
                 connect_retries profile v version h help help_tls";
    for name in names.split_whitespace() {
        assert!(definition::flag(name).is_ok(), "{name}");
    }
}

/// Whether a word, dashes included, stands in a text between characters that no flag has.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|character: char| !character.is_alphanumeric() && !"-_".contains(character))
        .any(|other| other == word)
}

#[test]
fn a_flag_is_defined_once_and_shown_everywhere() {
    let all: Vec<&str> = definition::FLAGS
        .iter()
        .flat_map(|flag| flag.names)
        .copied()
        .collect();
    let mut unique = all.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(all.len(), unique.len());
    let usage = usage(Program::Dunlin);
    let manual = manual("0.1.0", "2.15.2")
        .replace("\\-", "-")
        .replace("\\fB", " ")
        .replace("\\fR", " ");
    let bash = Shell::Bash.completions();
    let zsh = Shell::Zsh.completions();
    let fish = Shell::Fish.completions();
    for name in all {
        let dashed = definition::dashed(name);
        for (kind, text) in [
            ("usage", &usage),
            ("man", &manual),
            ("bash", &bash),
            ("zsh", &zsh),
        ] {
            assert!(has_word(text, &dashed), "{dashed} in {kind}");
        }
        assert!(has_word(&fish, name), "{name} in fish");
    }
    for word in ["config", "completions", "plugins", "man", "version", "help"] {
        for text in [&usage, &manual, &bash, &zsh, &fish] {
            assert!(has_word(text, word), "{word}");
        }
    }
}

// CORE-129
#[test]
fn the_usage_begins_with_the_programs_name_and_keeps_its_columns() {
    assert!(usage(Program::NatsServer).starts_with("\nUsage: nats-server [options]"));
    let usage = usage(Program::Dunlin);
    for line in [
        "    -a, --addr, --net <host>         Address to listen on (default: 0.0.0.0)",
        "    -DVV                             Debug, and trace the system account too",
        "        --log_size_limit <bytes>     Rotate the log file past this size (default: never)",
        "    -n, --name, --server_name <name> Name of this server (default: its id)",
        "                                     <pid> is a process id, a pattern such as 12*, or a pid file",
    ] {
        assert!(usage.lines().any(|other| other == line), "{line}\n{usage}");
    }
    assert!(usage.lines().all(|line| line.chars().count() <= 120), "{usage}");
}

#[test]
fn the_help_for_tls_lists_ciphers_and_curves() {
    let help = tls_help();
    assert!(
        help.contains("    TLS_AES_256_GCM_SHA384\n") && help.contains("    CurveP256\n"),
        "{help}"
    );
}

#[test]
fn a_store_command_takes_its_options_in_any_order() {
    let parse = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let command = StoreCommand {
        action: StoreAction::Check,
        directory: "dir".to_owned(),
        account: None,
        key_file: None,
        is_aes: false,
        is_json: false,
    };
    assert_eq!(parse("store check dir"), Ok(Command::Store(command.clone())));
    let all = StoreCommand {
        action: StoreAction::Dump { range: 5..=9 },
        account: Some("A".to_owned()),
        key_file: Some("k".to_owned()),
        is_aes: true,
        is_json: true,
        ..command
    };
    let line = "store dump dir --to 9 -json --account A --cipher aes --from 5 --key-file k";
    assert_eq!(parse(line), Ok(Command::Store(all)));
    for line in [
        "store",
        "store check",
        "store look dir",
        "store check --json",
        "store check dir --cipher des",
        "store check dir --from 5",
        "store dump dir --from five",
        "store dump dir --account",
        "store dump dir other",
    ] {
        assert!(matches!(parse(line), Err(CliError::Arguments(_))), "{line}");
    }
}

#[test]
fn commands_take_their_arguments_and_no_others() {
    let config = |command| Ok(Command::Config(command));
    let file = || "x.conf".to_owned();
    for (line, command) in [
        ("completions zsh", Ok(Command::Completions(Shell::Zsh))),
        ("man", Ok(Command::Man)),
        (
            "config check x.conf",
            config(ConfigCommand::Check { file: file() }),
        ),
        (
            "config convert x.conf toml",
            config(ConfigCommand::Convert {
                file: file(),
                to: Some(Format::Toml),
            }),
        ),
        (
            "config convert x.conf",
            config(ConfigCommand::Convert {
                file: file(),
                to: None,
            }),
        ),
        (
            "config diff x.conf y.conf",
            config(ConfigCommand::Diff {
                old: file(),
                new: "y.conf".to_owned(),
            }),
        ),
        ("config explain", config(ConfigCommand::Explain { key: None })),
        (
            "config explain port",
            config(ConfigCommand::Explain {
                key: Some("port".to_owned()),
            }),
        ),
        ("config schema", config(ConfigCommand::Schema)),
    ] {
        assert_eq!(parsed(line), command, "{line}");
    }
    check_error("completions", "usage: completions <bash|zsh|fish>", false);
    check_error("completions tcsh", "usage: completions <bash|zsh|fish>", false);
    check_error("man 1", "usage: man", false);
    let usage = "usage: config check <file>, or config convert <file> [toml|nats.conf], or config diff <old file> <new file>, \
                 or config explain [<key>], or config schema";
    for line in [
        "config",
        "config check",
        "config convert x json",
        "config explain a b",
    ] {
        check_error(line, usage, false);
    }
}

// CORE-130 [TestMergeOverrides]
#[test]
fn flags_win_over_the_file() {
    let file = "server_name: testing_server, listen: 127.0.0.1:4242, debug: false, logtime: false
                authorization { user: derek, password: porkchop, timeout: 1 }
                pid_file: '/tmp/nats-server.pid', max_traced_msg_len: 5, log_size_limit: 7";
    let line = "-p 2222 --pass nimda -D -l x.log --logtime_utc --max_traced_msg_len 9 --log_size_limit 11";
    let config = applied(file, line).unwrap();
    let mut expected = applied(file, "").unwrap();
    expected.port = 2222;
    expected.authorization.as_mut().unwrap().pass = Secret::new("nimda");
    expected.debug = true;
    expected.log_file = Some("x.log".into());
    expected.logtime_utc = true;
    expected.max_traced_msg_len = 9;
    expected.log_size_limit = 11;
    assert_eq!(config, expected);
    assert_eq!(expected.host, "127.0.0.1");
}

// CORE-130 [TestConfigureOptions]
#[test]
fn explicit_false_wins_over_the_file() {
    let file = "trace: true, debug: true";
    assert_eq!(levels(file, ""), [true, true, false]);
    assert_eq!(levels(file, "-V=false"), [true, false, false]);
    assert_eq!(levels(file, "-DV=false"), [false, false, false]);
    assert!(!applied("logtime: true", "-T=false").unwrap().logtime);
}

// CORE-128, CORE-130 [TestConfigureOptions]
#[test]
fn combined_flags_win_over_single_ones() {
    assert_eq!(levels("", "-DV"), [true, true, false]);
    assert_eq!(levels("", "-DVV"), [true, true, true]);
    assert_eq!(levels("", "-VV"), [false, true, true]);
    assert_eq!(levels("", "-DV=false -D -V"), [false, false, false]);
    assert_eq!(levels("", "-VV -DVV=false"), [false, true, true]);
}

// CORE-130 [TestOptions_RandomPort, TestDynamicPortOnListen]
#[test]
fn empty_and_zero_give_back_the_default() {
    let file = "listen: 10.0.1.22:5222, server_name: x, pid_file: y, log_file: z";
    let config = applied(file, "-p 0 -a= -n= -P= -l= --max_traced_msg_len -5").unwrap();
    assert_eq!((config.host.as_str(), config.port), ("0.0.0.0", 4222));
    assert_eq!(
        [&config.server_name, &config.pid_file, &config.log_file],
        [&None, &None, &None]
    );
    assert_eq!(config.max_traced_msg_len, 0);
    assert_eq!(applied(file, "-p -1").unwrap().port, -1);
}

// CORE-130 [TestRouteFlagOverride, TestClusterFlagsOverride, TestRouteFlagOverrideWithMultiple]
#[test]
fn the_cluster_of_the_flags_wins_over_the_files() {
    let file = "cluster { port: 7244, name: abc, authorization { user: ruser, password: top_secret }
                          routes: [\"nats-route://127.0.0.1:7246\"] }";
    let cluster = |line: &str| applied(file, line).unwrap().cluster;
    let shown = |routes: &[ServerUrl]| routes.iter().map(ServerUrl::to_string).collect::<Vec<_>>();
    let given = cluster("").unwrap();
    assert_eq!(
        (given.port, shown(&given.routes)),
        (7244, vec!["nats-route://127.0.0.1:7246".to_owned()])
    );
    let routes = cluster("-routes nats-route://a:1,nats-route://u:p@b:2")
        .unwrap()
        .routes;
    assert_eq!(shown(&routes), ["nats-route://a:1", "nats-route://u:xxxxx@b:2"]);
    assert!(cluster("-routes=").unwrap().routes.is_empty());
    assert_eq!(cluster("--cluster="), None);
    let other = cluster("--cluster nats://me:pw@1.2.3.4:-1 --cluster_name xyz --no_advertise").unwrap();
    let login = other.authorization.unwrap();
    assert_eq!((login.user.as_str(), login.pass.expose()), ("me", "pw"));
    assert_eq!(
        (other.host.as_str(), other.port, other.name.as_str()),
        ("1.2.3.4", -1, "xyz")
    );
    assert!(other.no_advertise);
    let nobody = cluster("--cluster_listen nats://1.2.3.4:6222").unwrap();
    assert_eq!((nobody.authorization, nobody.port), (None, 6222));
}

// CORE-130
#[test]
fn a_cluster_that_cannot_be_is_refused() {
    for (line, text) in [
        (
            "--cluster nats://127.0.0.1",
            "address 127.0.0.1: missing port in address",
        ),
        ("--cluster abc", "missing port in address"),
        (
            "--cluster nats://a@127.0.0.1:7",
            "expected cluster password to be set",
        ),
        (
            "--routes nats://h:1",
            "solicited routes require cluster capabilities, e.g. --cluster",
        ),
        (
            "--cluster nats://a:hunter2@h:x",
            "flag --cluster: the value is no URL such as nats://127.0.0.1:6222",
        ),
        (
            "--cluster nats://h:1 --routes :::",
            "flag --routes: the value has a part that is no URL such as nats://127.0.0.1:6222",
        ),
    ] {
        assert_eq!(applied("", line).unwrap_err().to_string(), text, "{line}");
    }
}

// CORE-130 [TestListenMonitoringDefault]
#[test]
fn ports_and_folders_of_the_flags_win_over_the_files() {
    let file = "http: 8222, prof_port: 1, store_dir: '/a', jetstream { max_mem: 1G }";
    let config = applied(file, "-m 8333 -profile 0 -sd /b").unwrap();
    assert_eq!((config.http_port, config.prof_port), (8333, 0));
    let jetstream = config.jetstream.unwrap();
    assert_eq!(
        (config.store_dir.as_str(), jetstream.store_dir.as_str()),
        ("/b", "/b")
    );
    assert_eq!(applied(file, "-js=false").unwrap().jetstream, None);
    assert!(
        applied("", "-js")
            .unwrap()
            .jetstream
            .is_some_and(|jetstream| jetstream.enabled)
    );
    assert_eq!(applied("", "-ms 8443").unwrap().https_port, 8443);
}

// CORE-130, CORE-138
#[test]
fn flags_choose_where_and_how_is_logged() {
    let config = applied(
        "syslog: true, remote_syslog: 'udp://x:1'",
        "-s=false -r= --log_format JSON",
    )
    .unwrap();
    assert_eq!((config.syslog, config.remote_syslog), (false, None));
    assert_eq!(config.log_format, LogFormat::Json);
    let config = applied("log_format: json", "-s -r tcp://y:2 --log_format text").unwrap();
    assert_eq!(
        (config.syslog, config.remote_syslog.as_deref()),
        (true, Some("tcp://y:2"))
    );
    assert_eq!(config.log_format, LogFormat::Text);
    check_error(
        "--log_format xml",
        "flag --log_format: \"xml\" is neither text nor json",
        false,
    );
}

#[test]
fn a_number_that_is_no_port_is_refused_at_once() {
    for port in ["65536", "-2", "4294967295"] {
        assert!(
            matches!(parsed(&format!("-p {port}")), Err(CliError::NoPort { .. })),
            "{port}"
        );
    }
    assert_eq!(flags("-p 65535").port, Some(65_535));
}

// CORE-130
#[test]
fn user_password_and_token_make_an_authorization() {
    let block = applied("", "--user joe --pass x").unwrap().authorization.unwrap();
    assert_eq!((block.user.as_deref(), block.pass.expose()), (Some("joe"), "x"));
    let block = applied("", "--auth T").unwrap().authorization.unwrap();
    assert_eq!((block.user, block.token.expose()), (None, "T"));
    let block = applied("authorization { token: T }", "--auth= --user joe --pass x").unwrap();
    assert!(block.authorization.unwrap().token.is_empty());
}

// AUTH-6
#[test]
fn credentials_that_would_be_ignored_are_refused() {
    let users = "authorization { users: [ { user: bob, password: b } ] }";
    let accounts = "accounts { A { users: [ { user: bob, password: b } ] } }";
    for (file, line, text) in [
        (
            "",
            "--user a --pass b --auth c",
            "Cannot have a user/pass and token",
        ),
        (
            "authorization { token: T }",
            "--user a",
            "Cannot have a user/pass and token",
        ),
        (
            users,
            "--user a --pass b",
            "Can not have a single user/pass and a users array",
        ),
        (users, "--auth T", "Can not have a token and a users array"),
        (
            accounts,
            "--user a --pass b",
            "Can not have a single user/pass and accounts",
        ),
        (accounts, "--auth T", "Can not have a token and accounts"),
    ] {
        assert_eq!(
            applied(file, line),
            Err(CliError::Credentials(text)),
            "{file} {line}"
        );
    }
    for file in ["", users, accounts] {
        assert_eq!(
            applied(file, "--pass x"),
            Err(CliError::PasswordWithoutUser),
            "{file}"
        );
    }
}

#[test]
fn secrets_of_the_command_line_do_not_print() {
    let shown = format!("{:?}", parsed("--user joe --pass hunter2 --auth= "));
    assert!(shown.contains("joe") && !shown.contains("hunter2"), "{shown}");
}
