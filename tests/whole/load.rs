//! The load generator in its verifying mode: contents, order and number of every delivery of a busy broker.
//!
//! What a unit test of one queue cannot show: runs, output queues and flushes under a load that keeps every buffer full.
//! Nothing here asserts on time; the length of a run only says how much is verified.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests")]

use dunlin_load::options::Options;
use dunlin_tests::server::Kind;

use crate::host::server;

// CORE-60, CORE-66 [TestNoRaceHighFanoutOrdering]
#[test]
fn order_and_contents_survive_a_full_load() {
    check("pubsub --publishers 3 --size 100");
}

// CORE-60: across all subjects of a publisher.
#[test]
fn order_survives_mixed_subjects() {
    check("pubsub --publishers 2 --subjects 997 --size 40");
}

// CORE-60 [TestNoRaceHighFanoutOrdering]
#[test]
fn every_subscriber_of_a_fan_out_gets_everything() {
    check("pubsub --subscribers 9 --size 300");
}

// CORE-66 [TestFlushOutboundNoSliceReuseIfPartial]
#[test]
fn payloads_larger_than_any_buffer_arrive_whole() {
    check("pubsub --subscribers 2 --size 200000");
}

#[test]
fn messages_cut_at_odd_places_arrive_whole() {
    check("pubsub --subscribers 2 --size 1021 --buffer 4099");
}

#[test]
fn each_message_goes_to_one_member_of_a_queue_group() {
    check("queue --publishers 2 --subscribers 5 --size 64");
}

#[test]
fn replies_reach_whoever_asked() {
    let replies = run("request --subscribers 20", Kind::Dunlin);
    assert!(replies > 0);
}

#[test]
fn the_reference_passes_the_same_checks() {
    for work in [
        "pubsub --publishers 2 --subscribers 2 --subjects 97 --check",
        "queue --subscribers 3 --check",
    ] {
        run(work, Kind::Reference);
    }
}

fn check(work: &str) {
    let verified = run(&format!("{work} --check"), Kind::Dunlin);
    assert!(verified > 0);
}

/// Returns how many deliveries were counted; 0 when the server is not installed.
fn run(work: &str, kind: Kind) -> u64 {
    let Some(server) = server(kind) else {
        return 0;
    };
    let url = server.url();
    let line = format!("{work} --server {url} --seconds 0.15 --warmup 0.05");
    let options = Options::parse(line.split_whitespace().map(str::to_owned)).unwrap();
    dunlin_load::run(&options)
        .unwrap_or_else(|error| panic!("{work}: {error}"))
        .count
}
