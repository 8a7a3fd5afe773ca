//! Top-level keys: CORE-124 to CORE-127.

use super::{check, check_errors, config, load};
use crate::load::LoadError;
use crate::options::Config;
use crate::report::Severity;
use crate::section::ConfigSection;
use crate::source::MapSource;
use crate::tree::Format;
use expect_test::expect;
use std::time::Duration;

// CORE-126 [TestListenConfig, TestListenPortOnlyConfig, TestListenPortWithColonConfig]
#[test]
fn listen_sets_host_and_port() {
    for (text, host, port) in [
        ("listen: 10.0.1.22:4422", "10.0.1.22", 4422),
        ("listen: 8922", "0.0.0.0", 8922),
        ("listen: \":8922\"", "0.0.0.0", 8922),
        ("listen: \"[::1]:-1\"", "::1", -1),
        ("host: a; port: 1", "a", 1),
        ("net: b", "b", 4222),
        ("port: 0", "0.0.0.0", 4222),
        ("", "0.0.0.0", 4222),
        ("port: 1; listen: x:2", "x", 2),
        ("listen: x:2; port: 3", "x", 3),
    ] {
        let (config, _) = load(text);
        let config = config.expect("no error");
        assert_eq!((config.host.as_str(), config.port), (host, port), "{text}");
    }
}

// CORE-126 [TestMalformedListenAddress]
#[test]
fn malformed_addresses_are_refused() {
    let source = MapSource::new().file("a", "listen: 10.0.1.22:foo"); // Without quotes a lexer's error.
    assert!(matches!(Config::load("a", &source), Err(LoadError::Syntax(_))));
    check_errors(&[
        ("listen: \"10.0.1.22:foo\"", "could not parse port \"foo\""),
        ("listen: foo", "could not parse address string \"foo\""),
        (
            "listen: \"::1:4222\"",
            "could not parse address string \"::1:4222\"",
        ),
        ("listen: \"[::1\"", "could not parse address string \"[::1\""),
        ("listen: \"foo:bar\"", "could not parse port \"bar\""),
        ("listen: [a]", "expected port or host:port, got []interface {}"),
        ("listen: true", "expected port or host:port, got bool"),
    ]);
}

// CORE-125 [TestPanic]
#[test]
fn wrong_types_are_told_in_the_references_words() {
    check_errors(&[
        (
            "port: \"this_string_trips_a_panic\"",
            "interface conversion: interface {} is string, not int64",
        ),
        (
            "port: 1.5",
            "interface conversion: interface {} is float64, not int64",
        ),
        (
            "host: 1",
            "interface conversion: interface {} is int64, not string",
        ),
        (
            "debug: 1",
            "interface conversion: interface {} is int64, not bool",
        ),
        (
            "log_file: [a]",
            "interface conversion: interface {} is []interface {}, not string",
        ),
        (
            "pid_file: {a: b}",
            "interface conversion: interface {} is map[string]interface {}, not string",
        ),
        (
            "authorization: foo",
            "interface conversion: interface {} is string, not map[string]interface {}",
        ),
    ]);
}

// CORE-124 [TestConfigCheckMultipleErrors]: all at once, sorted by place, warnings first, remarks last.
#[test]
fn all_findings_are_collected() {
    check(
        "debug: 1\npot: 4222\nmax_payload: 3GB\nping_interval: 10\ncluster { port: 6222 }\nmax_subs: 1\nmax_subscriptions: 2\n",
        expect![[r#"
            warning a:4:1: invalid use of field "ping_interval": ping_interval should be converted to a duration
              write ping_interval: "10s"
            error a:1:0: interface conversion: interface {} is int64, not bool
              debug takes true or false
            error a:2:1: unknown field "pot"
              did you mean "port"?
            error a:3:1: max_payload value is too big
            notice a:6:1: "max_subs" is given again at a:7:1, which counts
              keep one of them
            inert a:5:1: key "cluster" has no effect yet in this version of Dunlin
        "#]],
    );
}

// CORE-119, CORE-124
#[test]
fn a_key_used_as_variable_is_no_unknown_field() {
    let config = config("client_port = 4333\nport = $client_port\n");
    assert_eq!(config.port, 4333);
}

// CORE-124 [TestEmptyConfig]
#[test]
fn an_empty_file_is_warned_about() {
    check(
        "# nothing\n",
        expect![[r#"
        warning a: config has no values or is empty
    "#]],
    );
}

// CORE-124
#[test]
fn warnings_fail_the_check_and_remarks_do_not() {
    let (_, report) = load("ping_interval: 10");
    assert!(!report.has_errors() && !report.passes_check());
    let (_, report) = load("http: 8222\nport: 1\nport: 2\n");
    assert!(report.passes_check());
    assert_eq!(
        (
            report.of(Severity::Inert).len(),
            report.of(Severity::Notice).len()
        ),
        (1, 1)
    );
}

// CORE-113: keys match without regard to case.
#[test]
fn keys_match_in_any_case() {
    assert_eq!(config("PORT: 4333\nMax_Conn: 7").max_connections, 7);
}

// CORE section 15 [TestLargeMaxPayload, TestLargeMaxControlLine]
#[test]
fn sizes_beyond_31_bits_are_refused() {
    check_errors(&[
        ("max_payload = 3000000000", "max_payload value is too big"),
        (
            "max_control_line = 3000000000",
            "max_control_line value is too big",
        ),
        ("MAX_PAYLOAD = 3GB", "MAX_PAYLOAD value is too big"),
        (
            "max_control_line = -1",
            "max_control_line value can not be negative",
        ),
    ]);
    assert_eq!(config("max_payload: 8MB").max_payload, 8 << 20);
}

// CORE section 15
#[test]
fn max_sub_tokens_is_between_1_and_255() {
    check_errors(&[
        ("max_sub_tokens: 300", "max_sub_tokens value is too big"),
        ("max_sub_tokens: -1", "max_sub_tokens value can not be negative"),
        ("max_sub_tokens: 0", "max_sub_tokens value can not be negative"),
    ]);
    assert_eq!(config("max_subscription_tokens: 16").max_sub_tokens, 16);
}

// CORE section 15
#[test]
fn zero_is_the_default_except_for_connections() {
    let zero = config(
        "max_payload: 0; max_control_line: 0; max_pending: 0; ping_max: 0; ping_interval: \"0\"; \
         write_deadline: \"0s\"; lame_duck_grace_period: \"0s\"; max_subscriptions: 0",
    );
    assert_eq!(zero, Config::default());
    assert_eq!(config("max_connections: 0").max_connections, 0);
    assert_eq!(config("max_connections: -1").max_connections, 0);
    assert_eq!(config("max_subs: -1").max_subscriptions, 0);
}

// CORE-126 [TestPingIntervalNew, TestPingIntervalOld, TestParseWriteDeadline]
#[test]
fn durations_are_strings_or_seconds_with_a_warning() {
    assert_eq!(
        config("ping_interval: \"5m\"").ping_interval,
        Duration::from_secs(300)
    );
    let (parsed, report) = load("ping_interval: 5");
    assert_eq!(parsed.unwrap().ping_interval, Duration::from_secs(5));
    assert_eq!(
        report.reference_text(),
        "a:1:0: invalid use of field \"ping_interval\": ping_interval should be converted to a duration\n"
    );
    let (parsed, _) = load("write_deadline: 3");
    assert_eq!(parsed.unwrap().write_deadline, Duration::from_secs(3));
    assert_eq!(
        config("write_deadline: \"1s\"").write_deadline,
        Duration::from_secs(1)
    );
    check_errors(&[
        (
            "write_deadline: \"1x\"",
            "error parsing write_deadline: time: unknown unit \"x\" in duration \"1x\"",
        ),
        (
            "ping_interval: \"10\"",
            "error parsing ping_interval: time: missing unit in duration \"10\"",
        ),
        (
            "ping_interval: \"-1s\"",
            "ping_interval value can not be negative",
        ),
    ]);
}

// CORE section 15
#[test]
fn lame_duck_times_are_bounded() {
    check_errors(&[
        (
            "lame_duck_duration: \"5s\"",
            "invalid lame_duck_duration of 5s, minimum is 30 seconds",
        ),
        (
            "lame_duck_duration: \"-1m\"",
            "invalid lame_duck_duration of -1m0s, minimum is 30 seconds",
        ),
        (
            "lame_duck_duration: 60",
            "interface conversion: interface {} is int64, not string",
        ),
        (
            "lame_duck_grace_period: \"-5s\"",
            "invalid lame_duck_grace_period, needs to be positive",
        ),
    ]);
    assert_eq!(
        config("lame_duck_duration: \"30s\"").lame_duck_duration,
        Duration::from_secs(30)
    );
}

// CORE section 15
#[test]
fn verbose_traces_switch_the_trace_on() {
    assert!(config("trace_verbose: true").trace);
    assert!(config("trace_headers: yes").trace);
    assert!(!config("debug: true").trace);
}

// CORE section 15
#[test]
fn tags_and_metadata() {
    let config = config("server_tags: [\" Region:EU\", \"b\", B]\nserver_metadata: {rack: a7}");
    assert_eq!(config.server_tags, ["region:eu", "b"]);
    assert_eq!(config.server_metadata.get("rack").map(String::as_str), Some("a7"));
    check_errors(&[
        ("server_tags: 1", "error parsing tags: unsupported type int64"),
        (
            "server_tags: [true]",
            "error parsing tags: unsupported type *conf.token where string is expected",
        ),
        (
            "server_metadata: foo",
            "error parsing metadata: unsupported type string",
        ),
        (
            "server_metadata: {a: 1}",
            "interface conversion: interface {} is int64, not string",
        ),
    ]);
}

// CORE section 15
#[test]
fn names_have_their_rules() {
    check_errors(&[
        ("server_name: \"a b\"", "server name cannot contain spaces"),
        ("system_account: 1", "system account name must be a string"),
    ]);
    assert_eq!(config("system: SYS").system_account.as_deref(), Some("SYS"));
    assert!(config("no_sys_acc: true").no_system_account);
}

// CORE section 15: what would weaken security if it were ignored is refused.
#[test]
fn keys_that_protect_are_refused_rather_than_ignored() {
    for key in [
        "operator: x",
        "trusted_keys: OA2GBPRREAPGT7W2UDXOROMZP5OHYKMZ7WX6LEZFHTLFJL2N7LLRJHQ6",
        "resolver: MEM",
    ] {
        let (config, report) = load(key);
        assert!(config.is_none(), "{key}");
        let [finding] = report.findings()[..] else {
            panic!("{key}: {report:?}")
        };
        assert!(
            finding
                .reason
                .ends_with("is not supported yet; refusing to start without it"),
            "{key}"
        );
    }
    check(
        "operator: x",
        expect![[r#"
            error a:1:0: key "operator" is not supported yet; refusing to start without it
              ignoring it would weaken the protection that this file asks for; remove it only if that is meant
        "#]],
    );
}

/// Keys of the reference's table at the top level (CORE section 15).
const TOP_LEVEL: &str = "listen host net port client_advertise server_name debug trace trace_verbose trace_headers \
    logtime logtime_utc log_file logfile log_size_limit logfile_size_limit log_max_num logfile_max_num syslog \
    remote_syslog pid_file pidfile ports_file_dir prof_port prof_block_rate max_control_line max_payload \
    max_pending max_connections max_conn max_subscriptions max_subs max_sub_tokens max_subscription_tokens \
    max_traced_msg_len max_closed_clients ping_interval ping_max write_deadline write_timeout \
    lame_duck_duration lame_duck_grace_period no_fast_producer_stall proxy_protocol proxies \
    disable_sublist_cache no_sublist_cache no_header_support connect_error_reports reconnect_error_reports http \
    https http_port monitor_port https_port http_base_path tls allow_non_tls ocsp ocsp_cache authorization \
    accounts mappings maps no_auth_user default_sentinel system_account system no_system_account no_system \
    no_sys_acc operator operators root roots root_operator root_operators resolver account_resolver \
    accounts_resolver resolver_tls resolver_preload resolver_pinned_accounts trusted trusted_keys cluster gateway \
    leafnodes leaf websocket ws mqtt jetstream store_dir storedir default_js_domain server_tags \
    server_metadata feature_flags";

// CORE section 15
#[test]
fn every_key_of_the_reference_is_known() {
    for key in TOP_LEVEL.split_whitespace() {
        assert!(Config::keys().iter().any(|spec| spec.matches(key)), "{key}");
    }
}

// CORE-127, not run by `-t`
#[test]
fn validation_runs_in_the_references_order() {
    let text_of = |text: &str| config(text).validate().map_err(|error| error.to_string());
    assert_eq!(text_of("port: 1"), Ok(()));
    assert_eq!(
        text_of("lame_duck_duration: \"30s\"; lame_duck_grace_period: \"30s\"; max_pending: 1"),
        Err("lame duck grace period (30s) should be strictly lower than lame duck duration (30s)".to_owned())
    );
    assert_eq!(
        text_of("max_pending: 100; max_payload: 101; no_auth_user: x"),
        Err("max_payload (101) cannot be higher than max_pending (100)".to_owned())
    );
    assert_eq!(text_of("max_payload: -1"), Ok(()));
    let named = Config {
        server_name: Some("a b".to_owned()),
        ..Config::default()
    };
    assert_eq!(
        named.validate().unwrap_err().to_string(),
        "server name cannot contain spaces"
    );
}

// CORE-127, AUTH-13 [TestNoAuthUserCode]
#[test]
fn no_auth_user_must_exist() {
    let text_of = |text: &str| config(text).validate().map_err(|error| error.to_string());
    assert_eq!(
        text_of("no_auth_user: bob"),
        Err("no_auth_user: \"bob\" present, but users/nkeys are not defined".to_owned())
    );
    assert_eq!(
        text_of("no_auth_user: bob; accounts { A { users: [{user: amy, pass: x}] } }"),
        Err("no_auth_user: \"bob\" not present as user or nkey in authorization block or account configuration"
            .to_owned())
    );
    assert_eq!(
        text_of("no_auth_user: amy; accounts { A { users: [{user: amy, pass: x}] } }"),
        Ok(())
    );
    let keyed = |name: &str| {
        let nkey = "UBAAQWTW6CG2G6ANGNKB5U2B7HRWHSGMZEZX3AQSAJOQDAUGJD46LD2E";
        text_of(&format!(
            "no_auth_user: {name}; authorization {{ users: [{{nkey: {nkey}}}] }}"
        ))
    };
    assert_eq!(
        keyed("UBAAQWTW6CG2G6ANGNKB5U2B7HRWHSGMZEZX3AQSAJOQDAUGJD46LD2E"),
        Ok(())
    );
    assert!(keyed("UBAAQWTW6CG2G6ANGNKB5U2B7HRWHSGMZEZX3AQSAJOQDAUGJD46LD2F").is_err());
}

// CORE-124
#[test]
fn load_tells_apart_missing_malformed_and_wrong_files() {
    let source = MapSource::new()
        .file("ok.conf", "port: 4333")
        .file("bad.conf", "port: ")
        .file("bad.toml", "port = ")
        .file("wrong.toml", "port = \"x\"\n")
        .file("ok.toml", "port = 4333");
    let text = |path: &str| {
        Config::load(path, &source)
            .map(|loaded| loaded.digest)
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        text("none.conf"),
        Err("open none.conf: no such file or directory".to_owned())
    );
    assert_eq!(
        text("wrong.toml"),
        Err("wrong.toml:1:1: interface conversion: interface {} is string, not int64\n".to_owned())
    );
    assert!(matches!(
        Config::load("bad.toml", &source),
        Err(LoadError::Syntax(_))
    ));
    assert_eq!(text("ok.conf"), text("ok.toml"));
    assert_eq!(Format::of("a/B.TOML"), Format::Toml);
    assert_eq!(Format::of("nats"), Format::NatsConf);
}
