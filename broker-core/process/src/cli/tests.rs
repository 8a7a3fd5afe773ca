//! Tests of the command line as a whole.

use dunlin_config::{Config, LogFormat, MapSource, Secret};

use super::*;

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
    assert!(
        matches!(parsed("-t -c x.conf -js"), Ok(Command::Test(flags)) if flags.config.as_deref() == Some("x.conf"))
    );
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

// CORE-128
#[test]
fn a_flag_without_its_feature_is_refused_unless_it_switches_off() {
    let text = "flag --cluster: clustering is not available in this version of Dunlin";
    check_error("--cluster nats://127.0.0.1:6222", text, false);
    for line in [
        "-js",
        "--tls",
        "-tlscert x",
        "-routes nats://x:1",
        "-js=false -tlsverify",
    ] {
        assert!(
            matches!(parsed(line), Err(CliError::NotAvailable { .. })),
            "{line}"
        );
    }
    for line in [
        "-js=false",
        "-js -jetstream=false",
        "--tls=false",
        "--cluster=",
        "-routes=",
    ] {
        assert!(matches!(parsed(line), Ok(Command::Run(_))), "{line}");
    }
}

// CORE-128
#[test]
fn a_harmless_flag_is_only_noted() {
    let flags = flags("-m 8222 -http_port 8223 -profile 6060 -no_advertise");
    assert_eq!(flags.without_effect, ["http_port", "profile", "no_advertise"]);
}

// CORE-128: the flags of the reference's own usage.
#[test]
fn the_usage_names_every_flag() {
    let names = "a addr net p port n name server_name client_advertise P pid ports_file_dir m http_port ms https_port c \
                 config t sl signal l log log_size_limit s syslog r remote_syslog T logtime logtime_utc \
                 max_traced_msg_len D debug V trace VV DV DVV js jetstream sd store_dir user pass auth tls tlsverify \
                 tlscert tlskey tlscacert routes cluster cluster_listen cluster_name cluster_advertise no_advertise \
                 connect_retries profile v version h help help_tls";
    for name in names.split_whitespace() {
        let is_known = !matches!(parsed(&format!("-{name}=0")), Err(CliError::UnknownFlag(_)));
        let words = USAGE.split(|character: char| character.is_whitespace() || character == ',');
        let dashes = [format!("-{name}"), format!("--{name}")];
        let is_shown = words
            .into_iter()
            .any(|word| dashes.iter().any(|flag| flag == word));
        assert!(is_known && is_shown, "{name}: known {is_known}, shown {is_shown}");
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
            matches!(parsed(&format!("-p {port}")), Err(CliError::NoPort(_))),
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
