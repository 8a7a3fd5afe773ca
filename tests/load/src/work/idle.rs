//! `idle` and `subs`: what connections and subscriptions weigh while nothing happens.

use std::io::Write as _;
use std::time::Duration;

use super::SUBJECT;
use crate::error::LoadError;
use crate::link::{await_pong, login};
use crate::meter::Meter;
use crate::options::Options;
use crate::process;
use crate::report::Report;
use crate::tally::Tally;

/// Many connections with one subscription each.
pub(super) fn connections(options: &Options) -> Result<Report, LoadError> {
    let before = settled(options)?;
    let meter = Meter::start(options.pid);
    let mut streams = Vec::with_capacity(options.count);
    for number in 0..options.count {
        streams.push(login(
            options,
            options.login.as_ref(),
            format!("SUB {SUBJECT}.{number} 1\r\n").as_bytes(),
        )?);
    }
    let mut report = meter.report(options, "connection", options.count as u64);
    report.bytes = growth(options, before);
    drop(streams);
    Ok(report)
}

/// Many subscriptions on one connection, each on its own subject of three tokens.
pub(super) fn subscriptions(options: &Options) -> Result<Report, LoadError> {
    let before = settled(options)?;
    let mut stream = login(options, options.login.as_ref(), b"")?;
    let mut lines = Vec::new();
    for number in 0..options.count {
        // Writing to a `Vec` cannot fail.
        let _ = write!(
            lines,
            "SUB {SUBJECT}.{}.{} {}\r\n",
            number / 1000,
            number % 1000,
            number + 1
        );
    }
    lines.extend_from_slice(b"PING\r\n");
    let mut tally = Tally::new(1);
    let meter = Meter::start(options.pid);
    stream.write_all(&lines).map_err(LoadError::io("subscribe"))?;
    await_pong(&mut stream, &mut tally)?;
    let mut report = meter.report(options, "subscription", options.count as u64);
    report.bytes = growth(options, before);
    Ok(report)
}

/// Memory before anything is opened. What a server loads at its first connection is not a connection's weight.
fn settled(options: &Options) -> Result<Option<u64>, LoadError> {
    for _ in 0..4 {
        login(
            options,
            options.login.as_ref(),
            format!("SUB {SUBJECT}.first 1\r\n").as_bytes(),
        )?;
    }
    rest();
    Ok(options.pid.and_then(process::resident_bytes))
}

/// Growth of the server's memory since `before`, per unit.
fn growth(options: &Options, before: Option<u64>) -> Option<f64> {
    rest();
    let after = options.pid.and_then(process::resident_bytes)?;
    Some(after.saturating_sub(before?) as f64 / options.count as f64)
}

/// Gives the server a moment to free what it only needed on the way. Nothing depends on its length.
fn rest() {
    std::thread::sleep(Duration::from_millis(300));
}
