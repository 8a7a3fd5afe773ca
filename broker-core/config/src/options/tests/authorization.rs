//! Authorization, accounts, permissions: AUTH-5 to AUTH-18, AUTH-200 to AUTH-212.

use super::{check, check_errors, config, load};
use crate::options::{ConnectionType, Permissions, ResponsePermission, SubjectRule, SubjectRules};
use crate::report::Severity;
use expect_test::expect;
use std::time::Duration;

// AUTH-6
#[test]
fn one_user_one_token_or_many_users() {
    check_errors(&[
        (
            "authorization: {user: a, pass: b, token: c}",
            "Cannot have a user/pass and token",
        ),
        (
            "authorization: {user: a, pass: b, users: []}",
            "Can not have a single user/pass and a users array",
        ),
        (
            "authorization: {token: b, users: [{user: a, pass: b}]}",
            "Can not have a token and a users array",
        ),
        (
            "authorization: {user: x, pass: y}; accounts: {A: {users: [{user: a, pass: b}]}}",
            "Can not have a single user/pass and accounts",
        ),
        (
            "authorization: {token: x}; accounts: {A: {users: [{user: a, pass: b}]}}",
            "Can not have a token and accounts",
        ),
    ]);
    assert!(
        load("authorization: {user: x, pass: y}; accounts: [A]")
            .0
            .is_some()
    );
}

// AUTH-6 [TestAccountParseConfigDuplicateUsers, TestAuthorizationAndAccountsMisconfigurations]
#[test]
fn names_of_users_are_unique_over_the_whole_file() {
    check_errors(&[
        (
            "accounts: {A: {users: [{user: a, pass: x}]}, B: {users: [{user: a, pass: x}]}}",
            "Duplicate user \"a\" detected",
        ),
        (
            "authorization: {users: [{user: a, pass: x}, {user: a, pass: y}]}",
            "Duplicate user \"a\" detected",
        ),
        (
            "authorization: {users: [{user: a, pass: x}]}; accounts: {A: {users: [{user: a, pass: x}]}}",
            "Duplicate user \"a\" detected",
        ),
    ]);
    let nkey = "UC6NLCN7AS34YOJVCYD4PJ3QB7QGLYG5B5IMBT25VW5K4TNUJODM7BOX";
    let users = format!("users: [{{nkey: {nkey}}}]");
    let duplicate = format!("Duplicate nkey \"{nkey}\" detected");
    let accounts = format!("accounts: {{A: {{{users}}}}}");
    check_errors(&[
        (&format!("authorization: {{{users}}}; {accounts}"), &duplicate),
        (
            &format!("authorization: {{user: x, pass: y}}; {accounts}"),
            "Can not have a single user/pass and accounts",
        ),
        (
            &format!("authorization: {{token: x}}; {accounts}"),
            "Can not have a token and accounts",
        ),
    ]);
}

// AUTH-7
#[test]
fn a_user_entry_has_a_name() {
    check_errors(&[
        (
            "authorization: {users: foo}",
            "Expected users field to be an array, got foo",
        ),
        (
            "authorization: {users: [foo]}",
            "Expected user entry to be a map/struct, got foo",
        ),
        (
            "authorization: {users: [{pass: foo}]}",
            "User entry requires a user",
        ),
        (
            "authorization: {users: [{user: 1}]}",
            "interface conversion: interface {} is int64, not string",
        ),
        (
            "authorization: {users: [{nkey: foo}]}",
            "Not a valid public nkey for a user",
        ),
        (
            "authorization: {users: [{user: a, foo: b}]}",
            "unknown field \"foo\"",
        ),
    ]);
    let nkey = "UCARKS2E3KVB7YORL2DG34XLT7PUCOL2SVM7YXV6ETHLW6Z46UUJ2VZ3";
    check_errors(&[
        (
            &format!("authorization: {{users: [{{nkey: {nkey}, user: a}}]}}"),
            "Nkey users do not take usernames or passwords",
        ),
        (
            &format!("authorization: {{users: [{{nkey: {nkey}, pass: p}}]}}"),
            "Nkey users do not take usernames or passwords",
        ),
        (
            "authorization: {proxy_required: 1}",
            "interface conversion: interface {} is int64, not bool",
        ),
    ]);
}

// AUTH-4: as in the reference, an empty list asks nobody for credentials.
#[test]
fn an_empty_list_of_users_is_remarked() {
    check(
        "authorization: {users: []}",
        expect![[r#"
        notice a:1:16: users is empty, which protects nothing
          add a user, or remove the key
    "#]],
    );
}

// AUTH-7, AUTH-9 [TestNkeyUsersConfig, TestNkeyUsersDefaultPermissionsConfig, TestNkeyUsersWithPermsConfig]
#[test]
fn nkey_users_have_permissions_like_others() {
    let config = config(
        "authorization {
           default_permissions = { publish = \"foo\" }
           users = [
             { nkey: UDKTV7HZVYJFJN64LLMYQBUR6MTNNYCDC3LAZH4VHURW3GZLL3FULBXV }
             { nkey: UA3C5TBZYK5GJQJRWPMU6NFY5JNAEVQB2V2TUZFZDHFJFUYVKTTUOFKZ
               permissions = { publish = \"$SYS.>\", subscribe = { deny = [\"foo\", \"bar\"] } } }
           ]
         }
         accounts { A {
           default_permissions = { publish = \"bar\" }
           users = [
             { nkey: UC4YEYJHYKTU4LHROX7UEKEIO5RP5OUWDYXELHWXZOQHZYXHUD44LCRS }
             { nkey: UDLSDF4UY3YW7JJQCYE6T2D4KFDCH6RGF3R65KHK247G3POJPI27VMQ3, permissions = { subscribe = \"x\" } }
           ]
         } }",
    );
    let shown: Vec<String> = config
        .users()
        .map(|(account, user)| {
            let permissions = user.permissions.as_ref().expect("permissions");
            let subjects = |list: &[SubjectRule]| -> String {
                list.iter()
                    .map(|rule| rule.subject.as_str())
                    .collect::<Vec<_>>()
                    .join(",")
            };
            format!(
                "{account} {} publish {:?} subscribe {:?} deny {:?}",
                user.identity().get(..3).unwrap_or_default(),
                permissions.publish.allow.as_deref().map(subjects),
                permissions.subscribe.allow.as_deref().map(subjects),
                subjects(&permissions.subscribe.deny),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "$G UDK publish Some(\"foo\") subscribe None deny \"\"",
            "$G UA3 publish Some(\"$SYS.>\") subscribe None deny \"foo,bar\"",
            "A UC4 publish Some(\"bar\") subscribe None deny \"\"",
            "A UDL publish None subscribe Some(\"x\") deny \"\"",
        ]
    );
}

// AUTH-5: what protects is refused while it cannot be honoured.
#[test]
fn callout_is_refused() {
    check(
        "authorization: {auth_callout: {issuer: x}}",
        expect![[r#"
            error a:1:16: key "auth_callout" is not supported yet; refusing to start without it
              ignoring it would weaken the protection that this file asks for; remove it only if that is meant
            error a:1:16: Authorization callouts require authorized users to be specified
            error a:1:31: Expected callout user to be a valid public account nkey, got "x"
        "#]],
    );
}

// AUTH-5, AUTH-11
#[test]
fn the_timeout_is_seconds_or_a_duration() {
    let timeout = |text: &str| {
        let config = load(&format!("authorization: {{timeout: {text}}}")).0.unwrap();
        config.authorization.unwrap().timeout
    };
    assert_eq!(timeout("0.5"), Some(Duration::from_millis(500)));
    assert_eq!(timeout("3"), Some(Duration::from_secs(3)));
    assert_eq!(timeout("\"1m\""), Some(Duration::from_secs(60)));
    assert_eq!(timeout("0"), None);
    check_errors(&[
        (
            "authorization: {timeout: true}",
            "error parsing authorization config, 'timeout' wrong type",
        ),
        (
            "authorization: {timeout: \"x\"}",
            "error parsing authorization config, 'timeout' time: invalid duration \"x\"",
        ),
    ]);
    check(
        "authorization: {timeout: 2m}",
        expect![[r#"
        warning a:1:16: invalid use of field "timeout": timeout of 2000000 (2000000.000000 seconds) is high, consider keeping it under 60 seconds. possibly caused by unquoted duration; use '1m' instead of 1m, for example
    "#]],
    );
}

// AUTH-18 [TestUserUnknownAllowedConnectionType]
#[test]
fn connection_types_are_known_by_name() {
    let config = config("authorization: {users: [{user: a, clients: [standard, MQTT_WS]}]}");
    let users = config.authorization.unwrap().users.unwrap();
    assert_eq!(
        users[0].allowed_connection_types,
        [ConnectionType::Standard, ConnectionType::MqttWs]
    );
    check_errors(&[
        (
            "authorization: {users: [{user: a, connection_types: [foo, STANDARD, bar]}]}",
            "invalid connection types [\"FOO\" \"BAR\"]",
        ),
        (
            "authorization: {users: [
               {nkey: UC6NLCN7AS34YOJVCYD4PJ3QB7QGLYG5B5IMBT25VW5K4TNUJODM7BOX, clients: [STANDARD, someNewType]}
             ]}",
            "invalid connection types [\"SOMENEWTYPE\"]",
        ),
        (
            "authorization: {users: [{user: a, connection_types: true}]}",
            "error parsing allowed connection types: unsupported type bool",
        ),
        (
            "authorization: {users: [{user: a, connection_types: [true]}]}",
            "error parsing allowed connection types: unsupported type in array bool",
        ),
    ]);
}

/// The permissions written as `text`.
#[track_caller]
fn permissions(text: &str) -> Permissions {
    let config = config(&format!(
        "authorization: {{users: [{{user: a, permissions: {text}}}]}}"
    ));
    config.users().next().unwrap().1.permissions.clone().unwrap()
}

fn rule(subject: &str, queue: Option<&str>) -> SubjectRule {
    SubjectRule {
        subject: subject.to_owned(),
        queue: queue.map(str::to_owned),
    }
}

// AUTH-200, AUTH-201
#[test]
fn permissions_are_a_subject_a_list_or_allow_and_deny() {
    let allow = |rules: &[SubjectRule]| SubjectRules {
        allow: Some(rules.to_vec()),
        deny: Vec::new(),
    };
    let read = permissions("{pub: foo, sub: [\"a.*\", \"b.> workers\"]}");
    assert_eq!(read.publish, allow(&[rule("foo", None)]));
    assert_eq!(
        read.subscribe,
        allow(&[rule("a.*", None), rule("b.>", Some("workers"))])
    );
    let read = permissions("{import: {allow: [x, y], deny: z}, export: {deny: [\"q v1.*\"]}}");
    assert_eq!(read.publish.allow, Some(vec![rule("x", None), rule("y", None)]));
    assert_eq!(read.publish.deny, [rule("z", None)]);
    assert_eq!(
        read.subscribe,
        SubjectRules {
            allow: None,
            deny: vec![rule("q", Some("v1.*"))]
        }
    );
}

// AUTH-201 [TestSplitSubjectQueue]
#[test]
fn blanks_around_a_subject_and_its_queue_are_none_of_them() {
    for (text, queue) in [
        ("foo", None),
        ("foo bar", Some("bar")),
        (" foo bar ", Some("bar")),
        ("foo  bar", Some("bar")),
    ] {
        let read = permissions(&format!("{{sub: \"{text}\"}}"));
        assert_eq!(read.subscribe.allow, Some(vec![rule("foo", queue)]), "{text:?}");
    }
    for text in ["foo  bar fizz", "", "\\t", "\\n", " \\t\\r\\n"] {
        let text = format!("authorization: {{users: [{{user: a, permissions: {{sub: \"{text}\"}}}}]}}");
        let (_, report) = super::load(&text);
        assert!(
            report
                .findings()
                .iter()
                .any(|finding| finding.severity == Severity::Error),
            "{text}"
        );
    }
}

// AUTH-200, AUTH-202: an empty list in a file restricts nothing.
#[test]
fn empty_permissions_restrict_nothing() {
    for text in [
        "{}",
        "{publish: {}}",
        "{publish: []}",
        "{publish: {allow: []}}",
        "{allow_responses: false}",
    ] {
        assert_eq!(permissions(text), Permissions::default(), "{text}");
    }
}

// AUTH-201 [TestQueueQualifierOnlyAllowedForSubscribePermissions]
#[test]
fn subjects_and_queues_are_checked() {
    for (text, expected) in [
        (
            "{publish: \"foo bar\"}",
            "subject \"foo bar\" is not a valid subject",
        ),
        (
            "{publish: {deny: \"foo bar\"}}",
            "subject \"foo bar\" is not a valid subject",
        ),
        (
            "{publish: \"foo..bar\"}",
            "subject \"foo..bar\" is not a valid subject",
        ),
        (
            "{publish: \"foo.>.bar\"}",
            "subject \"foo.>.bar\" is not a valid subject",
        ),
        ("{publish: \"\"}", "subject \"\" is not a valid subject"),
        (
            "{subscribe: \"a b c\"}",
            "subject \"a b c\" is not a valid subject",
        ),
        (
            "{subscribe: \"f..o q\"}",
            "subject \"f..o\" is not a valid subject",
        ),
        ("{subscribe: \"foo q..r\"}", "queue \"q..r\" is not a valid queue"),
        (
            "{publish: 1}",
            "Expected subject permissions to be a subject, or array of subjects, got int64",
        ),
        (
            "{publish: [1]}",
            "Subject in permissions array cannot be cast to string",
        ),
        (
            "{publish: {only: a}}",
            "Unknown field name \"only\" parsing subject permissions, only 'allow' or 'deny' are permitted",
        ),
        ("{publihs: a}", "Unknown field \"publihs\" parsing permissions"),
        ("foo", "Expected permissions to be a map/struct, got foo"),
    ] {
        check_errors(&[(
            &format!("authorization: {{users: [{{user: a, permissions: {text}}}]}}"),
            expected,
        )]);
    }
}

// AUTH-211, AUTH-212 [TestUserAuthorizationAllowResponses]
#[test]
fn allowing_responses_switches_the_blanket_permission_off() {
    let read = permissions("{allow_responses: true}");
    assert_eq!(read.allow_responses, Some(ResponsePermission::default()));
    assert_eq!(read.publish.allow, Some(Vec::new()));
    let read = permissions("{publish: foo, allow_responses: {max_msgs: 10, ttl: \"1s\"}}");
    let expected = ResponsePermission {
        max: Some(10),
        expires: Some(Duration::from_secs(1)),
    };
    assert_eq!(read.allow_responses, Some(expected));
    assert_eq!(read.publish.allow, Some(vec![rule("foo", None)]));
    let read = permissions("{publish_allow_responses: {max: -1, expires: \"-1s\"}}");
    assert_eq!(
        read.allow_responses,
        Some(ResponsePermission {
            max: None,
            expires: None
        })
    );
    assert_eq!(
        permissions("{allow_responses: {max: 0}}").allow_responses,
        Some(ResponsePermission::default())
    );
    for (text, expected) in [
        (
            "x",
            "error parsing response permissions, expected a boolean or a map",
        ),
        ("{expires: 1}", "error parsing expires, not a duration string"),
        (
            "{expires: \"1\"}",
            "error parsing expires: time: missing unit in duration \"1\"",
        ),
        ("{foo: 1}", "Unknown field \"foo\" parsing permissions"),
    ] {
        let text = format!("authorization: {{default_permissions: {{allow_responses: {text}}}}}");
        check_errors(&[(&text, expected)]);
    }
}

// AUTH-9
#[test]
fn default_permissions_fill_in_for_users_without_their_own() {
    for block in ["authorization", "accounts: {A"] {
        let end = if block.contains('{') { "}" } else { "" };
        let config = config(&format!(
            "{block} {{ users: [{{user: a, pass: x}}, {{user: b, pass: x, permissions: {{}}}}]\n\
             default_permissions: {{publish: foo}} }}{end}"
        ));
        let publish: Vec<_> = config
            .users()
            .map(|(_, user)| user.permissions.as_ref().unwrap().publish.allow.is_some())
            .collect();
        assert_eq!(publish, [true, false], "{block}");
    }
}

// CORE section 15, AUTH-8, AUTH-500 [TestAccountSimpleConfig, TestAccountGlobalDefault, TestAccountFromOptions]
#[test]
fn accounts_are_names_or_maps() {
    let names = |text: &str| -> Vec<String> {
        config(text)
            .accounts
            .into_iter()
            .map(|account| account.name)
            .collect()
    };
    assert_eq!(names("accounts: [A, B]"), ["A", "B"]);
    assert_eq!(names("accounts: {A {}, \"b.c\": {}}"), ["A", "b.c"]);
    let config =
        config("accounts: {A {users: [{user: a, pass: x}]}}; authorization: {users: [{user: b, pass: x}]}");
    let users: Vec<_> = config
        .users()
        .map(|(account, user)| (account, user.user.as_str()))
        .collect();
    assert_eq!(users, [("$G", "b"), ("A", "a")]);
    check_errors(&[
        ("accounts: [A, B, A]", "Duplicate Account Entry: A"),
        ("accounts: [\"$G\"]", "\"$G\" is a Reserved Account"),
        ("accounts: {\"$G\": {}}", "\"$G\" is a Reserved Account"),
        ("accounts: {A: foo}", "Expected map entries for accounts"),
        (
            "accounts: {A: {nkey: foo}}",
            "Not a valid public nkey for an account: \"foo\"",
        ),
        ("accounts: {A: {foo: bar}}", "unknown field \"foo\""),
        (
            "accounts: {A: {limits: {foo: 1}}}",
            "Unknown field \"foo\" parsing account limits",
        ),
        (
            "accounts: {A: {limits: x}}",
            "Expected account limits to be a map/struct, got x",
        ),
    ]);
}

// AUTH-8, AUTH-500 [TestAccountUsersLoadedProperly, TestAccountParseConfig, TestMixedClientConfig]
#[test]
fn users_and_nkeys_of_all_blocks_are_known_with_their_accounts() {
    let config = config(
        "authorization { users [
           {user: ivan, password: bar}
           {nkey: UC6NLCN7AS34YOJVCYD4PJ3QB7QGLYG5B5IMBT25VW5K4TNUJODM7BOX}
         ] }
         accounts {
           synadia { users [
             {user: derek, password: foo}
             {nkey: UBAAQWTW6CG2G6ANGNKB5U2B7HRWHSGMZEZX3AQSAJOQDAUGJD46LD2E}
           ] }
           nats.io {
             msg_trace: {dest: my.trace.dest, sampling: 50%}
             users [ {user: alice, password: foo} ]
           }
         }",
    );
    let users: Vec<_> = config
        .users()
        .map(|(account, user)| (account, user.identity().get(..4).unwrap_or_default()))
        .collect();
    let expected = [
        ("$G", "ivan"),
        ("$G", "UC6N"),
        ("synadia", "dere"),
        ("synadia", "UBAA"),
        ("nats.io", "alic"),
    ];
    assert_eq!(users, expected);
    let trace = config.accounts[1].msg_trace.as_ref().expect("a trace");
    assert_eq!((trace.dest.as_str(), trace.sampling), ("my.trace.dest", Some(50)));
}

// CORE-119: within accounts, a map that is only a variable is no account.
#[test]
fn maps_used_as_variables_are_no_accounts() {
    let config = config(
        "accounts {\n PERMISSIONS = { publish = { allow = [foo,bar], deny = [quux] } }\n \
         synadia { users [ { user: a, pass: b, permissions = $PERMISSIONS } ] }\n}",
    );
    assert_eq!(config.accounts.len(), 1);
    assert_eq!(
        config.accounts[0].users[0]
            .permissions
            .as_ref()
            .unwrap()
            .publish
            .deny
            .len(),
        1
    );
}

// CORE section 15
#[test]
fn account_limits_are_none_when_negative() {
    let config = config("accounts: {A: {limits: {max_conn: 5, max_subs: -1, max_pay: 1K, max_leafs: 0}}}");
    let limits = config.accounts[0].limits;
    assert_eq!(
        (
            limits.max_connections,
            limits.max_subscriptions,
            limits.max_payload,
            limits.max_leafnodes
        ),
        (Some(5), None, Some(1000), Some(0))
    );
}

#[test]
fn secrets_do_not_print() {
    let config =
        config("authorization: {users: [{user: a, pass: hunter2}]}\nplugins { auth { x { key: hunter2 } } }");
    let printed = format!("{config:?}");
    assert!(
        printed.contains("[REDACTED]") && !printed.contains("hunter2"),
        "{printed}"
    );
}

// AUTH-1400 [TestOptionsProxyRequired]
#[test]
fn a_proxy_is_required_of_the_single_user_or_of_each_for_itself() {
    let single = config("authorization: {user: user, password: pwd, proxy_required: true}");
    assert!(single.authorization.unwrap().proxy_required);
    const KEY: &str = "UCARKS2E3KVB7YORL2DG34XLT7PUCOL2SVM7YXV6ETHLW6Z46UUJ2VZ3";
    const OTHER: &str = "UD6AYQSOIN2IN5OGC6VQZCR4H3UFMIOXSW6NNS6N53CLJA4PB56CEJJI";
    let users = format!(
        "users: [ {{user: a, password: p}}, {{user: b, password: p, proxy_required: true}}
         {{user: c, password: p, proxy_required: false}}
         {{nkey: {KEY}, proxy_required: true}}, {{nkey: {OTHER}, proxy_required: false}} ]"
    );
    for text in [
        format!("authorization: {{ {users} }}"),
        format!("accounts: {{ A: {{ {users} }} }}"),
    ] {
        let config = config(&text);
        let required = config.users().filter(|(_, user)| user.proxy_required);
        let names: Vec<_> = required
            .map(|(_, user)| user.nkey.as_deref().unwrap_or(&user.user))
            .collect();
        assert_eq!(names, ["b", KEY], "{text}");
    }
    let leafnodes =
        |text: &str| config(&format!("leafnodes: {{ port: -1, authorization: {{ {text} }} }}")).leafnodes;
    for text in [
        "user: u, password: p, proxy_required: true",
        &format!("nkey: {KEY}, proxy_required: true"),
    ] {
        assert!(leafnodes(text).unwrap().authorization.proxy_required, "{text}");
    }
    let users = leafnodes("users: [ {user: a, password: p}, {user: b, password: p, proxy_required: true} ]");
    let required: Vec<_> = users
        .unwrap()
        .authorization
        .users
        .iter()
        .map(|user| user.proxy_required)
        .collect();
    assert_eq!(required, [false, true]);
}
