//! Whole files of the kind that the reference's `server/opts_test.go` and `server/config_check_test.go` load.

use super::{check_errors, config, load};
use crate::load::LoadError;
use crate::options::{Config, ResponsePermission, SubjectRules, User};
use crate::report::Severity;
use crate::source::MapSource;
use std::time::Duration;

fn user<'a>(config: &'a Config, name: &str) -> &'a User {
    config
        .users()
        .find(|(_, user)| user.user == name)
        .expect("the user exists")
        .1
}

fn allowed(rules: &SubjectRules) -> Option<Vec<&str>> {
    rules
        .allow
        .as_ref()
        .map(|allow| allow.iter().map(|rule| rule.subject.as_str()).collect())
}

fn denied(rules: &SubjectRules) -> Vec<&str> {
    rules.deny.iter().map(|rule| rule.subject.as_str()).collect()
}

// AUTH-9, AUTH-200, AUTH-211 [TestAuthorizationConfig]
#[test]
fn roles_are_variables_and_the_default_is_inherited() {
    let config = config(
        "listen: 127.0.0.1:4222
        authorization {
          super_user = { publish = \"*\", subscribe = \">\" }
          asker = { publish = [\"req.foo\", \"req.bar\"], subscribe = \"_INBOX.>\" }
          default_user = { subscribe = \"PUBLIC.>\" }
          service = { subscribe = \"my.service.req\", publish_allow_responses: true }
          stream_service = { subscribe = \"my.service.req\", allow_responses: {max: 10, expires: \"1m\"} }
          default_permissions: $default_user
          users = [
            {user: alice, password: foo, permissions: $super_user}
            {user: bob,   password: bar, permissions: $asker}
            {user: susan, password: baz}
            {user: svca,  password: pc,  permissions: $service}
            {user: svcb,  password: sam, permissions: $stream_service}
          ]
        }",
    );
    assert_eq!(config.users().count(), 5);
    let permissions = |name: &str| user(&config, name).permissions.clone().expect("permissions");
    let alice = permissions("alice");
    assert_eq!(
        (allowed(&alice.publish), allowed(&alice.subscribe)),
        (Some(vec!["*"]), Some(vec![">"]))
    );
    assert_eq!(
        allowed(&permissions("bob").publish),
        Some(vec!["req.foo", "req.bar"])
    );
    let susan = permissions("susan");
    assert_eq!(
        (allowed(&susan.publish), allowed(&susan.subscribe)),
        (None, Some(vec!["PUBLIC.>"]))
    );
    let service = permissions("svca");
    assert_eq!(allowed(&service.subscribe), Some(vec!["my.service.req"]));
    assert_eq!(allowed(&service.publish), Some(vec![]));
    assert_eq!(service.allow_responses, Some(ResponsePermission::default()));
    let stream = permissions("svcb");
    assert_eq!(allowed(&stream.subscribe), Some(vec!["my.service.req"]));
    assert_eq!(allowed(&stream.publish), Some(vec![]));
    let expected = ResponsePermission {
        max: Some(10),
        expires: Some(Duration::from_secs(60)),
    };
    assert_eq!(stream.allow_responses, Some(expected));
}

// AUTH-200 [TestNewStyleAuthorizationConfig]
#[test]
fn roles_allow_and_deny() {
    let config = config(
        "authorization {
          normal = { publish = { allow = [\"foo\", \"bar\", \"baz\"] }, subscribe = { deny = \"$SYS.>\" } }
          admin = { publish = \"$SYS.>\", subscribe = { deny = [\"foo\", \"bar\", \"baz\"] } }
          users = [
            {user: alice, password: foo, permissions: $normal}
            {user: bob, password: special, permissions: $admin}
          ]
        }",
    );
    assert_eq!(config.users().count(), 2);
    let alice = user(&config, "alice").permissions.clone().expect("permissions");
    assert_eq!(allowed(&alice.publish), Some(vec!["foo", "bar", "baz"]));
    assert_eq!(denied(&alice.publish), Vec::<&str>::new());
    assert_eq!(
        (allowed(&alice.subscribe), denied(&alice.subscribe)),
        (None, vec!["$SYS.>"])
    );
    let bob = user(&config, "bob").permissions.clone().expect("permissions");
    assert_eq!(
        (allowed(&bob.publish), denied(&bob.publish)),
        (Some(vec!["$SYS.>"]), vec![])
    );
    assert_eq!(
        (allowed(&bob.subscribe), denied(&bob.subscribe)),
        (None, vec!["foo", "bar", "baz"])
    );
}

// AUTH-5, AUTH-11 [TestAuthorizationTimeoutConfigParsing, TestMultipleUsersConfig]
#[test]
fn the_login_timeout_has_a_default_and_four_spellings() {
    for (text, milliseconds) in [
        ("", 2_000),
        ("authorization {}", 2_000),
        ("authorization { timeout: 0 }", 2_000),
        ("authorization { timeout: 1 }", 1_000),
        ("authorization { timeout: 10s }", 10_000),
        ("authorization { timeout: 1m }", 1_000_000_000),
        ("authorization { timeout: \"1m\" }", 60_000),
        ("authorization { timeout: \"10m5s30ms\" }", 605_030),
        ("authorization { timeout: 0.091 }", 91),
        (
            "authorization { users = [ {user: alice, password: foo}\n {user: bob, password: bar} ]\n timeout: 0.5 }",
            500,
        ),
    ] {
        let config = load(text).0.expect("no error");
        assert_eq!(
            config.auth_timeout(),
            Duration::from_millis(milliseconds),
            "{text}"
        );
    }
    check_errors(&[(
        "authorization { timeout: random_garbage }",
        "error parsing authorization config, 'timeout' time: invalid duration \"random_garbage\"",
    )]);
    let source = MapSource::new().file("a", "authorization { timeout: .091 }");
    let error = Config::load("a", &source)
        .expect_err("no leading digit")
        .to_string();
    assert!(error.contains("Floats must start with a digit"), "{error}");
}

// AUTH-6, AUTH-7 [TestTokenWithUserPass, TestTokenWithUsers, TestBadNkeyConfig, TestNkeyWithPassConfig]
#[test]
fn tokens_and_nkeys_stand_alone() {
    let nkey = "UDKTV7HZVYJFJN64LLMYQBUR6MTNNYCDC3LAZH4VHURW3GZLL3FULBXV";
    check_errors(&[
        (
            "authorization={\n user: user\n pass: password\n token: $2a$11$whatever\n}",
            "Cannot have a user/pass and token",
        ),
        (
            "authorization={\n token: $2a$11$whatever\n users: [\n {user: test, password: test}\n ]\n}",
            "Can not have a token and a users array",
        ),
        (
            "authorization { users = [ {nkey: \"Ufoo\"}] }",
            "Not a valid public nkey for a user",
        ),
        (
            &format!("authorization {{ users = [ {{nkey: \"{nkey}\", pass: \"foo\"}} ] }}"),
            "Nkey users do not take usernames or passwords",
        ),
    ]);
}

// AUTH-211, AUTH-212 [TestParsingResponsePermissions]
#[test]
fn response_permissions_have_defaults_and_may_be_unlimited() {
    let default = ResponsePermission::default();
    let with = |max: Option<u64>, seconds: Option<u64>| ResponsePermission {
        max,
        expires: seconds.map(Duration::from_secs),
    };
    let text = |inner: &str| {
        format!(
            "authorization {{ users [ {{ user: ivan\n password: pwd\n permissions {{ allow_responses {{\n{inner}\n}} }} }} ] }}"
        )
    };
    for (inner, expected) in [
        ("", default),
        ("max: 10", with(Some(10), Some(120))),
        ("ttl: 5s", with(Some(1), Some(5))),
        ("max: 0", default),
        ("ttl: \"0s\"", default),
        ("max: 10\nttl: \"5s\"", with(Some(10), Some(5))),
        ("max: -1\nttl: \"5s\"", with(None, Some(5))),
        ("max: 10\nttl: \"-1s\"", with(Some(10), None)),
        ("max: -1\nttl: \"-1s\"", with(None, None)),
    ] {
        let config = config(&text(inner));
        let permissions = user(&config, "ivan").permissions.clone().expect("permissions");
        assert_eq!(permissions.allow_responses, Some(expected), "{inner}");
    }
    check_errors(&[
        (
            &text("unknown_field: 123"),
            "Unknown field \"unknown_field\" parsing permissions",
        ),
        (
            &text("max: 10\nttl: 123"),
            "error parsing expires, not a duration string",
        ),
        (
            &text("max: 10\nttl: xyz"),
            "error parsing expires: time: invalid duration \"xyz\"",
        ),
    ]);
}

// CORE-122, CORE-124 [TestConfigCheckIncludes]
#[test]
fn an_unknown_field_of_an_included_file_names_that_file() {
    let source = MapSource::new()
        .file(
            "c/ok.conf",
            "\nport = 4222\n\ninclude \"vars.conf\"\n\nhttp_port = $monitoring_port\n",
        )
        .file(
            "c/bad.conf",
            "\nport = 4222\n\ninclude \"vars.conf\"\n\n# http_port = $monitoring_port\n",
        )
        .file(
            "c/vars.conf",
            "\n\n\n                  monitoring_port = 8222\n\ninclude \"auth.conf\"\n",
        )
        .file(
            "c/auth.conf",
            "authorization {\n  user = \"foo\"\n  pass = \"bar\"\n}\n",
        );
    let loaded = Config::load("c/ok.conf", &source).expect("the variable is used");
    assert!(loaded.report.passes_check());
    let error = Config::load("c/bad.conf", &source)
        .expect_err("the variable is not used")
        .to_string();
    assert_eq!(error, "c/vars.conf:4:19: unknown field \"monitoring_port\"\n");
}

// CORE-124 [TestConfigCheckMultipleErrors]: but for the cluster's, which is not read yet.
#[test]
fn one_run_shows_all_errors_with_their_places() {
    let text = "
authorization {
  user = foo
  pass = bar
  token = quux
}

http_port = 8222

monitoring = 8222

write_deadline = 5

accounts {
  synadia {
    nkey = \"OC5GRL36RQV7MJ2GT6WQSCKDKJKYTK4T2LGLWJ2SEJKRDHFOQQWGGFQL\"

    users [
      {
        nkey = \"OCARKS2E3KVB7YORL2DG34XLT7PUCOL2SVM7YXV6ETHLW6Z46UUJ2VZ3\"
      }
    ]
  }
}
";
    let source = MapSource::new().file("m.conf", text);
    let Err(LoadError::Invalid(report)) = Config::load("m.conf", &source) else {
        panic!("errors are expected")
    };
    expect_test::expect![[r#"
        m.conf:12:1: invalid use of field "write_deadline": write_deadline should be converted to a duration
        m.conf:2:1: Cannot have a user/pass and token
        m.conf:10:1: unknown field "monitoring"
        m.conf:16:5: Not a valid public nkey for an account: "OC5GRL36RQV7MJ2GT6WQSCKDKJKYTK4T2LGLWJ2SEJKRDHFOQQWGGFQL"
        m.conf:18:5: Can not have a single user/pass and accounts
        m.conf:20:9: Not a valid public nkey for a user
    "#]].assert_eq(&report.reference_text());
    assert_eq!(report.of(Severity::Inert).len(), 1);
}

// CORE section 15 [TestSublistNoCacheConfig]
#[test]
fn the_sublist_cache_is_switched_off_by_either_name() {
    assert!(config("disable_sublist_cache: true").disable_sublist_cache);
    assert!(config("no_sublist_cache: true").disable_sublist_cache);
}

// CORE section 15 [TestConfigFile]: the keys of the reference's sample that are acted on.
#[test]
fn a_file_with_most_keys_is_read_whole() {
    let (config, report) = load(
        "server_name: testing_server
        server_metadata { key1: value1\n key2: value2 }
        feature_flags { feature: false }
        listen: 127.0.0.1:4242
        http: 8222
        authorization { user: derek\n password: porkchop\n timeout: 1 }
        debug: false
        trace: true
        logtime: false
        syslog: true
        pid_file: \"/tmp/nats-server/nats-server.pid\"
        max_connections: 100
        max_subscriptions: 1000
        max_pending: 10000000
        max_control_line: 2048
        max_payload: 65536
        ping_interval: \"60s\"
        ping_max: 3
        write_deadline: \"3s\"
        lame_duck_duration: \"4m\"
        connect_error_reports: 86400",
    );
    assert!(report.passes_check());
    let config = config.expect("no error");
    assert_eq!(config.server_name.as_deref(), Some("testing_server"));
    assert_eq!(config.server_metadata.len(), 2);
    assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 4242));
    let auth = config.authorization.as_ref().expect("authorization");
    assert_eq!(
        (auth.user.as_deref(), auth.pass.expose()),
        (Some("derek"), "porkchop")
    );
    assert_eq!((config.debug, config.trace, config.logtime), (false, true, false));
    assert_eq!(
        config.pid_file.as_deref(),
        Some("/tmp/nats-server/nats-server.pid")
    );
    assert_eq!((config.max_connections, config.max_subscriptions), (100, 1000));
    assert_eq!(
        (config.max_pending, config.max_control_line, config.max_payload),
        (10_000_000, 2048, 65_536)
    );
    assert_eq!(
        (config.ping_interval, config.ping_max),
        (Duration::from_secs(60), 3)
    );
    assert_eq!(config.write_deadline, Duration::from_secs(3));
    assert_eq!(config.lame_duck_duration, Duration::from_secs(240));
    assert_eq!(config.auth_timeout(), Duration::from_secs(1));
}
