//! `exports`, `imports` and `msg_trace` of accounts.

use super::{check_errors, config};
use crate::options::{ResponseType, Sampling};
use std::time::Duration;

// CORE section 15, AUTH-600 [TestAccountParseConfigImportsExports]
#[test]
fn exports_and_imports_are_read() {
    let read = config(
        "accounts {
           A {
             exports: [
               { stream: \"a.>\", accounts: [B] }
               { service: \"b.*\", response: chunk, threshold: \"5s\", latency: { subject: l, sampling: \"50%\" }
                 account_token_position: 2, allow_trace: true }
               { service: c, latency: m }
             ]
             msg_trace: { dest: t.x, sampling: 25% }
           }
           B {
             imports: [
               { stream: { account: A, subject: \"a.x\" }, prefix: p, allow_trace: true }
               { service: { account: A, subject: \"b.1\" }, to: mine, share: true }
             ]
             trace_dest: y
           }
         }",
    );
    let [a, b] = &read.accounts[..] else {
        panic!("two accounts")
    };
    assert_eq!(a.exports[0].stream.as_deref(), Some("a.>"));
    let service = &a.exports[1];
    assert_eq!(
        (service.response_type, service.threshold),
        (ResponseType::Chunked, Some(Duration::from_secs(5)))
    );
    assert_eq!(service.latency.as_ref().unwrap().sampling, Sampling::Percent(50));
    assert!(service.allow_trace && service.account_token_position == 2);
    assert_eq!(
        a.exports[2].latency.as_ref().unwrap().sampling,
        Sampling::Percent(100)
    );
    assert_eq!(a.msg_trace.as_ref().unwrap().sampling, Some(25));
    assert_eq!(b.imports[0].local_subject(), "a.x");
    assert_eq!((b.imports[1].local_subject(), b.imports[1].share), ("mine", true));
    let trace = b.msg_trace.as_ref().unwrap();
    assert_eq!((trace.dest.as_str(), trace.sampling), ("y", Some(100)));
}

// CORE section 15 [TestAccountConfigErrors, TestAccountDuplicateServiceImportSubject]
#[test]
fn errors_of_exports_are_the_references() {
    check(&[
        ("exports: 1", "Exports should be an array, got int64"),
        (
            "exports: [x]",
            "Export Items should be a map with type entry, got string",
        ),
        (
            "exports: [{ service: a, stream: b }]",
            "Detected stream \"b\" but already saw a service",
        ),
        (
            "exports: [{ stream: a, service: b }]",
            "Detected service \"b\" but already saw a stream",
        ),
        (
            "exports: [{ stream: 1 }]",
            "Expected stream name to be string, got int64",
        ),
        (
            "exports: [{ service: 1 }]",
            "Expected service name to be string, got int64",
        ),
        (
            "exports: [{ stream: a, response: single }]",
            "Detected response directive on non-service",
        ),
        (
            "exports: [{ stream: a, latency: b }]",
            "Detected latency directive on non-service",
        ),
        (
            "exports: [{ stream: a, allow_trace: true }]",
            "Detected allow_trace directive on non-service",
        ),
        (
            "exports: [{ service: a, response: x }]",
            "Unknown response type: \"x\"",
        ),
        (
            "exports: [{ service: a, response: 1 }]",
            "Expected response type to be string, got int64",
        ),
        (
            "exports: [{ service: a, threshold: 1 }]",
            "Expected response threshold to be a parseable time duration, got int64",
        ),
        (
            "exports: [{ service: a, threshold: x }]",
            "Expected response threshold to be a parseable time duration, got \"x\"",
        ),
        (
            "exports: [{ service: a, latency: 1 }]",
            "Expected latency entry to be a map/struct or string, got int64",
        ),
        (
            "exports: [{ service: a, latency: { sampling: 1 } }]",
            "Latency subject required, but missing",
        ),
        (
            "exports: [{ service: a, latency: { subject: b, sampling: 101 } }]",
            "bad sampling percentage, should be 1-100",
        ),
        (
            "exports: [{ service: a, latency: { subject: b, sampling: x } }]",
            "Failed to parse latency sample: strconv.Atoi: parsing \"x\": invalid syntax",
        ),
    ]);
}

// CORE section 15 [TestAccountConfigErrors, TestAccountDuplicateServiceImportSubject]
#[test]
fn errors_of_imports_and_traces_are_the_references() {
    check(&[
        ("imports: 1", "Imports should be an array, got int64"),
        (
            "imports: [x]",
            "Import Items should be a map with type entry, got string",
        ),
        (
            "imports: [{ stream: x }]",
            "Stream entry should be an account map, got string",
        ),
        (
            "imports: [{ service: x }]",
            "Service entry should be an account map, got string",
        ),
        (
            "imports: [{ stream: { account: A } }]",
            "Expect an account name and a subject",
        ),
        (
            "imports: [{ stream: { account: A, subject: a }, prefix: b, to: c }]",
            "Stream import can not have a 'prefix' and a 'to' property",
        ),
        (
            "imports: [{ service: { account: A, subject: a }, allow_trace: true }]",
            "Detected allow_trace directive on a non-stream",
        ),
        (
            "imports: [{ service: { account: A, subject: a }, to: b }, { service: { account: A, subject: c }, to: b }]",
            "Duplicate service import subject \"b\", previously used in import for account \"A\", subject \"a\"",
        ),
        (
            "msg_trace: 1",
            "Expected account message trace \"msg_trace\" to be a string or a map/struct, got int64",
        ),
        ("trace_dest: \"a.*\"", "Trace destination \"a.*\" is not valid"),
        (
            "msg_trace: { dest: 1 }",
            "Field \"dest\" should be a string, got int64",
        ),
        (
            "msg_trace: { dest: a, sampling: 101 }",
            "Ttrace destination sampling value 101 is invalid, needs to be [1..100]",
        ),
        (
            "msg_trace: { dest: a, sampling: x% }",
            "Invalid trace destination sampling value \"x%\"",
        ),
        (
            "msg_trace: { dest: a, sampling: true }",
            "Trace destination sampling field \"sampling\" should be an integer or a percentage, got bool",
        ),
        (
            "msg_trace: { x: 1 }",
            "Unknown field \"x\" parsing account message trace map/struct \"msg_trace\"",
        ),
        (
            "msg_trace: { sampling: 10 }",
            "Trace destination sampling ignored since no destination was set",
        ),
    ]);
}

/// Each text, in an account, gives this one error.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        check_errors(&[(&format!("accounts {{ A {{ {text} }} }}"), expected)]);
    }
}
