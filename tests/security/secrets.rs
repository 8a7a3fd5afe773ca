//! Secrets stay where they are.

use dunlin_api::config::{Config, Format, MapSource};

use super::Stage;
use crate::sim;

/// Whatever holds this has leaked.
const SECRET: &str = "s3cr3t-w0rd-that-nobody-must-see";

// [2026-33216, 2026-33247, 2026-01: secrets in what is shown; CORE-141]
#[test]
fn log_of_a_session_holds_none_of_its_secrets() {
    sim::run(|| async {
        let stage = Stage::new(&format!(
            "authorization {{ users: [{{user: u, password: {SECRET}}}] }}\n"
        ))
        .await;
        let right = format!(r#"{{"user":"u","pass":"{SECRET}","verbose":false}}"#);
        let mut client = stage.log_in(&right).await;
        client.send("SUB foo 1\r\nPUB foo 2\r\nhi\r\n").await;
        client.sync().await;
        for json in [
            format!(r#"{{"user":"x","pass":"{SECRET}"}}"#),
            format!(r#"{{"auth_token":"{SECRET}"}}"#),
            format!(r#"{{"auth_token" : "{SECRET}"}}"#),
            format!(r#"{{"jwt":"{SECRET}","sig":"{SECRET}","nkey":"U"}}"#),
            format!(r#"{{"proxy_sig":"{SECRET}","user":"u"}}"#),
            format!(r#"{{"PASS":"{SECRET}","Auth_Token":"{SECRET}"}}"#),
            format!(r#"{{"pass":"{SECRET}""#),
            format!(r#"{{"pass":{SECRET}}}"#),
            format!(r#"{{"pass":["{SECRET}"]}}"#),
        ] {
            stage.end_of(format!("CONNECT {json}\r\n").as_bytes()).await;
        }
        let lines = stage.lines.take();
        assert!(
            lines.iter().any(|line| line.contains("authentication error")),
            "{lines:?}"
        );
        for line in &lines {
            assert!(!line.contains(SECRET), "{line}");
        }
    });
}

// [2026-01, 2026-33216] Nor does a configuration that is printed, nor the error about a wrong one.
#[test]
fn configuration_and_its_errors_show_no_secret() {
    let load =
        |text: &str| Config::load_content(text.as_bytes(), "test", Format::NatsConf, &MapSource::new());
    for text in [
        format!("authorization {{ user: u, password: {SECRET} }}\n"),
        format!("authorization {{ token: {SECRET} }}\n"),
        format!("accounts {{ A {{ users: [{{user: a, password: {SECRET}}}] }} }}\n"),
    ] {
        let loaded = load(&text).unwrap();
        let shown = format!("{:?} {:?}", loaded.config, loaded.report);
        assert!(!shown.contains(SECRET), "{shown}");
    }
    for text in [
        format!("authorization {{ user: u, password: [{SECRET}] }}\n"),
        format!("authorization {{ token: {{ a: {SECRET} }} }}\n"),
        format!("authorization {{ user: u, password: {SECRET}, token: {SECRET} }}\n"),
        format!(
            "authorization {{ users: [{{user: a, password: {SECRET}}}, {{user: a, password: {SECRET}}}] }}\n"
        ),
        format!("accounts {{ A {{ users: [{{password: {SECRET}}}] }} }}\n"),
        format!("authorization {{ users: [{{user: a, pass: {SECRET}, bogus: 1}}] }}\n"),
    ] {
        let error = load(&text).map(|loaded| format!("{:?}", loaded.report));
        let shown = error.unwrap_or_else(|error| error.to_string());
        assert!(!shown.contains(SECRET), "{text}: {shown}");
    }
}
