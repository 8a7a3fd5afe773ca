//! No descriptor left: who is there is served, and who comes waits.

use std::net::SocketAddr;

use dunlin_tests::connection::{Connection, Event};
use dunlin_tests::server::{Kind, Server};

const FEW: u32 = 64;

fn log_in(address: SocketAddr) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    connection.send(b"CONNECT {\"verbose\":false}\r\nSUB foo 1\r\n");
    sync(&mut connection);
    connection
}

/// PING, and what comes before its PONG.
fn sync(connection: &mut Connection) -> Vec<u8> {
    connection.send(b"PING\r\n");
    let mut before = Vec::new();
    loop {
        match connection.read().unwrap() {
            Event::Frame(frame) if frame.bytes() == b"PONG\r\n" => return before,
            Event::Frame(frame) => before.extend_from_slice(frame.bytes()),
            Event::Closed(_) => panic!("closed"),
        }
    }
}

// CORE-13 [TestAcceptError; memory and descriptors before login, 2026-25]
#[test]
fn descriptors_that_run_out_disturb_nobody_who_is_there() {
    let server =
        Server::start_with_descriptors(Kind::Dunlin, "", FEW).unwrap_or_else(|error| panic!("{error}"));
    let mut client = log_in(server.address());
    let crowd: Vec<_> = (0..2 * FEW)
        .map(|_| Connection::open(server.address()).unwrap())
        .collect();
    let told = "Temporary Client Accept Error";
    while !server.log().contains(told) {
        client.send(b"PUB foo 2\r\nhi\r\n");
        assert_eq!(sync(&mut client), b"MSG foo 1 2\r\nhi\r\n");
    }
    assert!(
        server.log().contains("too many open files), sleeping 10ms"),
        "{}",
        server.log()
    );
    drop(crowd);
    // Those who waited in line are gone; the next is accepted when the pause is over.
    let mut newcomer = log_in(server.address());
    client.send(b"PUB foo 2\r\nho\r\n");
    sync(&mut client);
    assert_eq!(sync(&mut newcomer), b"MSG foo 1 2\r\nho\r\n");
}
