//! The two documents of the handshake.

use dunlin_wire::{Connect, Info, Secret};

/// CONNECT is merged or refused; merged twice it is what it was, and its secrets do not print.
pub fn connect(data: &[u8]) {
    let mut once = Connect::before_login();
    if once.merge(data).is_err() {
        return;
    }
    let mut twice = once.clone();
    twice
        .merge(data)
        .expect("what was merged once can be merged again");
    assert_eq!(once, twice);
    let mut other = once.clone();
    for secret in [
        &mut other.pass,
        &mut other.auth_token,
        &mut other.sig,
        &mut other.jwt,
    ] {
        if !secret.expose().is_empty() {
            *secret = Secret::new("another");
        }
    }
    assert_eq!(
        format!("{once:?}"),
        format!("{other:?}"),
        "what prints depends on a secret"
    );
}

/// INFO that is read and written is read the same, and stands on one line.
pub fn info(data: &[u8]) {
    let Ok(info) = Info::parse(data) else { return };
    let line = info.info_line();
    let json = line
        .strip_prefix(b"INFO ")
        .and_then(|line| line.strip_suffix(b" \r\n"))
        .expect("the form of CORE-14");
    assert!(!json.contains(&b'\n') && !json.contains(&b'\r'));
    assert_eq!(Info::parse(json).expect("our own INFO"), info);
}
