//! The checks of `tests/interop/README.md` with async-nats.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, Message, RequestErrorKind, Subscriber, ToServerAddrs,
};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use dunlin_tests::server::{Kind, Server};

use crate::host::server;

/// How long anything may take that should come at once. Reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs every check against a server of this kind.
pub(super) fn check(kind: Kind) {
    let Some(mut server) = server(kind) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let url = server.url();
        publish_subscribe(connect(&url).await).await;
        wildcard(connect(&url).await).await;
        headers(connect(&url).await).await;
        request(connect(&url).await).await;
        no_responders(connect(&url).await).await;
        queue(connect(&url).await).await;
        unsubscribe(connect(&url).await).await;
        large(connect(&url).await).await;
        drain(&url).await;
        reconnect(&mut server).await;
    });
}

async fn publish_subscribe(client: Client) {
    let mut sub = client.subscribe("rs.pubsub").await.unwrap();
    for i in 0..100_u8 {
        client
            .publish("rs.pubsub", vec![i; i.into()].into())
            .await
            .unwrap();
    }
    for i in 0..100_u8 {
        assert_eq!(next(&mut sub).await.payload, vec![i; i.into()]);
    }
    nothing_more(&client, &mut sub, "rs.pubsub").await;
}

async fn wildcard(client: Client) {
    let mut star = client.subscribe("rs.wild.*").await.unwrap();
    let mut rest = client.subscribe("rs.wild.>").await.unwrap();
    for subject in ["rs.wild", "rs.wild.a", "rs.wild.a.b", "rs.wilder.a"] {
        client.publish(subject, "".into()).await.unwrap();
    }
    assert_eq!(next(&mut star).await.subject.as_str(), "rs.wild.a");
    nothing_more(&client, &mut star, "rs.wild.end").await;
    assert_eq!(next(&mut rest).await.subject.as_str(), "rs.wild.a");
    assert_eq!(next(&mut rest).await.subject.as_str(), "rs.wild.a.b");
    assert_eq!(next(&mut rest).await.subject.as_str(), "rs.wild.end");
}

async fn headers(client: Client) {
    let mut sub = client.subscribe("rs.headers").await.unwrap();
    let mut sent = HeaderMap::new();
    sent.append("Fruit", "apple");
    sent.append("Fruit", "pear");
    sent.append("Colour", "red");
    client
        .publish_with_headers("rs.headers", sent.clone(), "payload".into())
        .await
        .unwrap();
    let message = next(&mut sub).await;
    assert_eq!(message.headers, Some(sent));
    assert_eq!(message.payload, "payload");
}

async fn request(client: Client) {
    let mut service = client.subscribe("rs.service").await.unwrap();
    let answering = client.clone();
    let answers = tokio::spawn(async move {
        while let Some(message) = service.next().await {
            let answer = [b"re: ".as_slice(), &message.payload].concat();
            answering
                .publish(message.reply.unwrap(), answer.into())
                .await
                .unwrap();
        }
    });
    for i in 0..20 {
        let reply = client.request("rs.service", i.to_string().into()).await.unwrap();
        assert_eq!(reply.payload, format!("re: {i}"));
    }
    answers.abort();
}

async fn no_responders(client: Client) {
    let error = client.request("rs.nobody", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
}

async fn queue(client: Client) {
    let mut seen = BTreeSet::new();
    let (deliveries, mut collected) = mpsc::unbounded_channel();
    for member in 0..3 {
        let mut sub = client
            .queue_subscribe("rs.queue", "workers".to_owned())
            .await
            .unwrap();
        let deliveries = deliveries.clone();
        tokio::spawn(async move {
            while let Some(message) = sub.next().await {
                // The receiver leaves when it has seen enough.
                let _ = deliveries.send((member, message.payload));
            }
        });
    }
    for i in 0..99_u8 {
        client.publish("rs.queue", vec![i].into()).await.unwrap();
    }
    let mut members = BTreeSet::new();
    for _ in 0..99 {
        let (member, payload) = within(collected.recv()).await.unwrap();
        assert!(seen.insert(payload.clone()), "{payload:?} came twice");
        members.insert(member);
    }
    assert_eq!(members.len(), 3, "a member got nothing");
}

async fn unsubscribe(client: Client) {
    let mut sub = client.subscribe("rs.unsubscribe").await.unwrap();
    sub.unsubscribe_after(5).await.unwrap();
    for _ in 0..10 {
        client.publish("rs.unsubscribe", "".into()).await.unwrap();
    }
    for _ in 0..5 {
        next(&mut sub).await;
    }
    assert!(within(sub.next()).await.is_none());
    let mut end = client.subscribe("rs.unsubscribed").await.unwrap();
    nothing_more(&client, &mut end, "rs.unsubscribed").await;
    // Counted by the connection, because the library itself drops what comes after the fifth.
    assert_eq!(client.statistics().in_messages.load(Ordering::Relaxed), 6);
}

async fn large(client: Client) {
    let mut sub = client.subscribe("rs.large").await.unwrap();
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(512 * 1024).collect();
    client.publish("rs.large", payload.clone().into()).await.unwrap();
    assert!(next(&mut sub).await.payload == payload, "other bytes");
}

async fn drain(url: &str) {
    let (client, mut events) = connect_observed(url).await;
    let mut sub = client.subscribe("rs.drain").await.unwrap();
    for _ in 0..100 {
        client.publish("rs.drain", "".into()).await.unwrap();
    }
    // This library's drain keeps what has come, but does not wait for what is still under way.
    let mut end = client.subscribe("rs.drained").await.unwrap();
    nothing_more(&client, &mut end, "rs.drained").await;
    client.drain().await.unwrap();
    let mut handled = 0;
    while within(sub.next()).await.is_some() {
        handled += 1;
    }
    assert_eq!(handled, 100);
    until(&mut events, &Event::Closed).await;
}

async fn reconnect(server: &mut Server) {
    let (client, mut events) = connect_observed(server.url()).await;
    let mut sub = client.subscribe("rs.reconnect").await.unwrap();
    until(&mut events, &Event::Connected).await;
    nothing_more(&client, &mut sub, "rs.reconnect").await;
    server.restart().unwrap();
    until(&mut events, &Event::Disconnected).await;
    until(&mut events, &Event::Connected).await;
    client.publish("rs.reconnect", "again".into()).await.unwrap();
    assert_eq!(next(&mut sub).await.payload, "again");
}

pub(super) async fn connect(url: &str) -> Client {
    within(async_nats::connect(url)).await.unwrap()
}

/// A client that tells what happens to its connection, and tries again quickly, one server after the other.
pub(super) async fn connect_observed(urls: impl ToServerAddrs) -> (Client, mpsc::UnboundedReceiver<Event>) {
    let (sender, events) = mpsc::unbounded_channel();
    let options = ConnectOptions::new()
        .retain_servers_order()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        .event_callback(move |event| {
            let sender = sender.clone();
            async move {
                // A test that has ended does not listen any more.
                let _ = sender.send(event);
            }
        });
    (within(options.connect(urls)).await.unwrap(), events)
}

pub(super) async fn until(events: &mut mpsc::UnboundedReceiver<Event>, wanted: &Event) {
    while within(events.recv()).await.as_ref().expect("the client is gone") != wanted {}
}

pub(super) async fn next(sub: &mut Subscriber) -> Message {
    within(sub.next()).await.expect("the subscription ended")
}

/// Publishes a last message on `subject` and expects it to be the next delivery.
async fn nothing_more(client: &Client, sub: &mut Subscriber, subject: &'static str) {
    client.publish(subject, "the end".into()).await.unwrap();
    assert_eq!(next(sub).await.payload, "the end");
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not happen")
}
