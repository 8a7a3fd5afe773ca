use super::*;
use crate::source::MapSource;

fn config(text: &str) -> Config {
    let source = MapSource::new().file("x.conf", text);
    Config::load("x.conf", &source).expect(text).config
}

fn plan(old: &str, new: &str) -> Plan {
    Plan::between(&config(old), &config(new))
}

/// The lines of a reload that is taken over.
#[track_caller]
fn check_lines(old: &str, new: &str, expected: &[&str]) {
    let plan = plan(old, new);
    assert_eq!(plan.check(), Ok(()));
    let lines: Vec<&str> = plan
        .steps()
        .iter()
        .map(|step| step.line)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(lines, expected, "{plan:#?}");
}

/// The refusal of a reload, either way round.
#[track_caller]
fn check_refused(old: &str, new: &str, option: &str, before: &str, after: &str) {
    for (from, to, was, will_be) in [(old, new, before, after), (new, old, after, before)] {
        let refusal = plan(from, to).check().expect_err(from).to_string();
        assert_eq!(
            refusal,
            format!("config reload not supported for {option}: old={was}, new={will_be}")
        );
    }
}

// CORE-132 [TestConfigReload]
#[test]
fn lines_come_in_the_references_order() {
    let everything = r#"
        reconnect_error_reports: 4
        server_metadata { a: b }
        server_tags: [a]
        max_traced_msg_len: 7
        write_deadline: "3s"
        ports_file_dir: "/tmp/x"
        pid_file: "/tmp/x.pid"
        no_fast_producer_stall: true
        max_payload: 100
        max_control_line: 2048
        authorization { timeout: 3 }
        ping_max: 5
        ping_interval: "90s"
        max_connections: 1
        logtime_utc: true
        trace_headers: true
        debug: true
        client_advertise: "host:99"
    "#;
    check_lines(
        "",
        everything,
        &[
            "Reload: client_advertise = host:99",
            "Reloaded: trace = true",
            "Reloaded: debug = true",
            "Reloaded: trace_headers = true",
            "Reloaded: logtime_utc = true",
            "Reloaded: max_connections = 1",
            "Reloaded: authorization users",
            "Reloaded: accounts",
            "Reloaded: ping_interval = 1m30s",
            "Reloaded: ping_max = 5",
            "Reloaded: authorization timeout = 3",
            "Reloaded: max_control_line = 2048",
            "Reloaded: max_payload = 100",
            "Reloaded: fast producers will not be stalled",
            "Reloaded: pid_file = /tmp/x.pid",
            "Reloaded: ports_file_dir = /tmp/x",
            "Reloaded: write_deadline = 3s",
            "Reloaded: max_traced_msg_len = 7",
            "Reloaded: reconnect_error_reports = 4",
            "Reloaded: tags",
            "Reloaded: metadata",
        ],
    );
}

// CORE-132
#[test]
fn users_and_accounts_are_told_of_without_a_change() {
    let always = ["Reloaded: authorization users", "Reloaded: accounts"];
    check_lines("", "", &always);
    check_lines(
        "authorization { user: a, pass: b }",
        "authorization { user: a, pass: b }",
        &always,
    );
    check_lines("pid_file: /tmp/p", "", &always);
    check_lines("system_account: \"$SYS\"", "", &always);
    check_lines("max_connections: 0", "max_connections: 0", &always);
    assert!(
        plan("listen: 4222", "port: 4222").is_empty(),
        "the same place, written otherwise"
    );
    assert!(
        plan("port: 4222", "port: -1").is_empty(),
        "any port is the one in use"
    );
}

// CORE-132
#[test]
fn authorization_changes_key_by_key() {
    let (users, accounts) = ("Reloaded: authorization users", "Reloaded: accounts");
    check_lines(
        "authorization { user: a, pass: b }",
        "authorization { token: c }",
        &[
            users,
            accounts,
            "Reloaded: authorization username",
            "Reloaded: authorization password",
            "Reloaded: authorization token",
        ],
    );
    check_lines(
        "accounts { A { users [ {user: a, pass: b} ] } }",
        "accounts { B { users [ {user: a, pass: b} ] } }",
        &[users, accounts],
    );
}

// CORE-132, CORE-133 [TestConfigReloadUnsupported, TestConfigReloadMaxSubsUnsupported]
#[test]
fn what_needs_a_restart_is_refused_by_the_references_name() {
    check_refused("server_name: a", "server_name: b", "ServerName", "a", "b");
    check_refused(
        "host: 127.0.0.1",
        "host: localhost",
        "Host",
        "127.0.0.1",
        "localhost",
    );
    check_refused("port: 4222", "port: 4223", "Port", "4222", "4223");
    check_refused("max_subs: 10", "", "MaxSubs", "10", "0");
    check_refused("max_sub_tokens: 3", "", "MaxSubTokens", "3", "0");
    check_refused("max_pending: 2097152", "", "MaxPending", "2097152", "67108864");
    check_refused("log_size_limit: 1", "", "LogSizeLimit", "1", "0");
    check_refused("log_max_num: 3", "", "LogMaxFiles", "3", "0");
    check_refused(
        "disable_sublist_cache: true",
        "",
        "NoSublistCache",
        "true",
        "false",
    );
    check_refused("no_header_support: true", "", "NoHeaderSupport", "true", "false");
    check_refused("no_system_account: true", "", "NoSystemAccount", "true", "false");
    check_refused(
        "lame_duck_duration: \"1m\"",
        "",
        "LameDuckDuration",
        "1m0s",
        "2m0s",
    );
    check_refused(
        "lame_duck_grace_period: \"4s\"",
        "",
        "LameDuckGracePeriod",
        "4s",
        "10s",
    );
}

// CORE-132 [TestConfigReloadUnsupportedHotSwapping]
#[test]
fn the_first_refusal_in_the_references_order_counts() {
    let refusal = plan(
        "max_subs: 1\nserver_name: b",
        "debug: true\nserver_name: a\nmax_subs: 2",
    )
    .check();
    assert_eq!(
        refusal.expect_err("a name").to_string(),
        "config reload not supported for ServerName: old=b, new=a"
    );
}

// CORE-132, CORE-133
#[test]
fn tls_is_one_option_and_some_keys() {
    let tls = |more: &str| {
        let mut config = config("");
        let text = format!("tls {{ cert_file: a, key_file: b\n {more} }}");
        let table = crate::parse(
            text.as_bytes(),
            "x",
            crate::Format::NatsConf,
            &MapSource::new(),
            &mut crate::Report::new(),
        );
        let table = table.expect("well formed");
        let position = crate::Position::new("x", 1, 0);
        let mut report = crate::Report::new();
        let reader = crate::TableReader::new(&table, &position);
        let entry = reader.named(&["tls"]).expect("tls");
        config.tls = crate::read_section(&crate::Field::of(entry), &mut report);
        config
    };
    let lines = |old: &Config, new: &Config| {
        let plan = Plan::between(old, new);
        let refusal = plan.check().err().map(|error| error.to_string());
        let lines = plan
            .steps()
            .iter()
            .flat_map(|step| step.line.lines())
            .map(str::to_owned)
            .collect::<Vec<_>>();
        refusal.unwrap_or_else(|| {
            lines
                .join("\n")
                .replace("Reloaded: authorization users\nReloaded: accounts\n", "")
        })
    };
    let (off, plain) = (config(""), tls(""));
    assert_eq!(lines(&plain, &plain).lines().count(), 2);
    assert!(lines(&off, &plain).contains("Reloaded: tls = enabled"));
    assert!(lines(&plain, &off).contains("Reloaded: tls = disabled"));
    assert!(lines(&plain, &tls("timeout: 4")).contains("Reloaded: tls timeout = 4"));
    assert_eq!(
        lines(&plain, &tls("min_version: \"1.3\", insecure: true")),
        "Reloaded: tls = enabled"
    );
    assert_eq!(
        lines(&plain, &tls("handshake_first: \"300ms\"")),
        "Reloaded: Client TLS handshake first: true\n\
         Reloaded: Client TLS handshake first fallback delay: 300ms"
    );
    assert_eq!(
        lines(&plain, &tls("verify_and_map: true")),
        "config reload not supported for TLSMap: old=false, new=true"
    );
    assert_eq!(
        lines(&plain, &tls("connection_rate_limit: 3")),
        "config reload not supported for TLSRateLimit: old=0, new=3"
    );
}

// CORE section 15
#[test]
fn a_stand_in_may_go_but_neither_come_nor_change() {
    let users = "authorization { users [ {user: a, pass: b}, {user: c, pass: d} ] }";
    let one = "authorization { users [ {user: c, pass: d} ] }";
    let with = |users: &str, name: &str| format!("{users}\nno_auth_user: {name}");
    assert!(plan(&with(users, "a"), one).check().is_ok());
    assert!(
        plan(&with(users, "a"), users).check().is_err(),
        "the user is still there"
    );
    assert!(plan(users, &with(users, "a")).check().is_err());
    assert!(plan(&with(users, "a"), &with(users, "c")).check().is_err());
}

// CORE section 15 [TestConfigReloadClientAdvertise]
#[test]
fn an_address_without_a_number_for_a_port_is_refused() {
    let refusal = |address: &str| {
        let plan = plan("", &format!("client_advertise: {address:?}"));
        plan.check().err().map(|error| error.to_string())
    };
    assert_eq!(
        refusal("a:b").as_deref(),
        Some("invalid ClientAdvertise value of a:b, err=strconv.Atoi: parsing \"b\": invalid syntax")
    );
    assert_eq!(refusal("a"), None);
    assert_eq!(refusal("a:1"), None);
}

#[test]
fn a_dry_run_has_a_line_a_key() {
    let plan = plan("max_subs: 1", "max_payload: 100");
    let lines: Vec<String> = plan.changes.iter().map(Change::to_string).collect();
    assert_eq!(
        lines,
        [
            "restart   max_subscriptions: 1 -> 0",
            "live      max_payload: 1048576 -> 100"
        ]
    );
}

#[test]
fn secrets_are_not_shown() {
    let plan = plan(
        "authorization { user: a, pass: s3cret }",
        "authorization { token: s3cret }",
    );
    assert!(!format!("{plan:?}").contains("s3cret"), "{plan:?}");
    assert_eq!(
        plan.changes
            .iter()
            .filter(|change| change.new == "[REDACTED]")
            .count(),
        2
    );
}

#[test]
fn options_of_auth_providers_may_change_and_those_of_others_may_not() {
    let file = |kind: &str, value: u32| format!("plugins {{ {kind} {{ door {{ open: {value} }} }} }}");
    assert!(plan(&file("auth", 1), &file("auth", 1)).is_empty());
    assert!(plan(&file("auth", 1), &file("auth", 2)).check().is_ok());
    assert!(plan(&file("listener", 1), &file("listener", 2)).check().is_err());
}

/// A key that is not in the list would come in the wrong place without anybody noticing.
#[test]
fn every_key_has_its_place() {
    let own = ["listen", "plugins", "authorization"];
    let top = Config::keys().iter().map(|key| key.name.to_owned());
    let nested = Authorization::keys()
        .iter()
        .map(|key| format!("authorization.{}", key.name));
    let active = |name: &String| {
        let spec = Config::keys().iter().find(|key| key.name == *name);
        spec.is_none_or(|key| key.status == crate::KeyStatus::Active)
    };
    let missing: Vec<String> = top
        .filter(active)
        .chain(nested)
        .filter(|name| !ORDER.contains(&name.as_str()) && !own.contains(&name.as_str()))
        .collect();
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "add them to ORDER, where the reference's options have them"
    );
}
