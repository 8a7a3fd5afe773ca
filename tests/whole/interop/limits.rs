//! What a client does when its server goes away slowly, or takes small messages only.

use std::process::Command;

use async_nats::client::PublishErrorKind;
use async_nats::{Event, ServerAddr};
use dunlin_tests::paths;
use dunlin_tests::server::{Kind, Server};

use super::rust_client::{connect, connect_observed, next, until};
use crate::host::server_with;

/// The shortest lame duck that a configuration may ask for, with a grace period that ends soon.
const LAME_DUCK: &str = "lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"200ms\"\n";

/// A client of two servers is told by the one that goes, and goes on with the other (CORE-84).
pub(super) fn lame_duck(kind: Kind) {
    let (Some(old), Some(new)) = (server_with(kind, LAME_DUCK), server_with(kind, "")) else {
        return;
    };
    run(async {
        let urls: Vec<ServerAddr> = vec![old.url().parse().unwrap(), new.url().parse().unwrap()];
        let (client, mut events) = connect_observed(&urls[..]).await;
        let mut sub = client.subscribe("rs.moved").await.unwrap();
        until(&mut events, &Event::Connected).await;
        assert_eq!(client.server_info().port, old.address().port());
        signal(&old, "ldm");
        until(&mut events, &Event::LameDuckMode).await;
        until(&mut events, &Event::Disconnected).await;
        until(&mut events, &Event::Connected).await;
        assert_eq!(client.server_info().port, new.address().port());
        client.publish("rs.moved", "still here".into()).await.unwrap();
        assert_eq!(next(&mut sub).await.payload, "still here");
    });
}

/// A client knows the limit from INFO, and keeps it by itself (CORE-14, CORE-34).
pub(super) fn max_payload(kind: Kind) {
    let Some(server) = server_with(kind, "max_payload: 1000\n") else {
        return;
    };
    run(async {
        let client = connect(&server.url()).await;
        assert_eq!(client.server_info().max_payload, 1000);
        let mut sub = client.subscribe("rs.limit").await.unwrap();
        let error = client
            .publish("rs.limit", vec![0; 1001].into())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::MaxPayloadExceeded);
        client.publish("rs.limit", vec![0; 1000].into()).await.unwrap();
        assert_eq!(next(&mut sub).await.payload.len(), 1000);
    });
}

/// Both servers know the same signals.
fn signal(server: &Server, name: &str) {
    let program = paths::dunlin().unwrap_or_else(|error| panic!("{error}"));
    let status = Command::new(program)
        .args(["--signal", &format!("{name}={}", server.pid())])
        .status()
        .unwrap();
    assert!(status.success());
}

fn run(check: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(check);
}
