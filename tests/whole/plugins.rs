//! The example plugins in a running broker, chosen by name in TOML.

use std::net::SocketAddr;
use std::sync::Arc;

use dunlin::Server;
use dunlin_api::config::{Config, Format, MapSource};
use dunlin_api::{
    AccountName, Logger, NewMessage, Registry, RegistryError, ServerIdentity, StorageType, StreamId,
    StreamOptions, Subject,
};
use dunlin_net::sim::{SimWorld, sim_env};

use crate::sim::{self, Client, PORT, host};

const LINE: &str = "[plugins.listener.line]\nlisten = \"10.0.0.1:4333\"\n";

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(host(1), port)
}

#[test]
fn line_clients_and_nats_clients_see_each_others_messages() {
    sim::run(|| async {
        let world = SimWorld::new(5);
        let broker = sim::start(&world, host(1), LINE).await;
        let mut line = Client::connect(&world, host(50), at(4333)).await;
        let mut nats = Client::log_in(&world, host(51), &broker).await;
        line.send("subscribe greet.*\n").await;
        line.expect("ok 1\n").await;
        nats.send("SUB greet.> 1\r\n").await;
        nats.sync().await;
        nats.send("PUB greet.joe 5\r\nhello\r\n").await;
        assert_eq!(line.expect("\n").await, "message greet.joe hello\n");
        nats.expect("hello\r\n").await;
        line.send("unsubscribe 1\npublish greet.ann good morning\n").await;
        line.expect("ok\nok\n").await;
        assert_eq!(
            nats.expect("morning\r\n").await,
            "MSG greet.ann 1 12\r\ngood morning\r\n"
        );
        line.send("shout\n").await;
        line.expect("error say login, publish, subscribe, unsubscribe or quit\n")
            .await;
        line.send("quit\n").await;
        assert_eq!(line.expect_end().await, "");
        while broker.server.totals().connections > 1 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_line_without_end_is_refused() {
    sim::run(|| async {
        let world = SimWorld::new(5);
        let _broker = sim::start(&world, host(1), LINE).await;
        let mut line = Client::connect(&world, host(50), at(4333)).await;
        line.send(&"x".repeat(9000)).await;
        assert_eq!(line.expect_end().await, "error Maximum Control Line Exceeded\n");
    });
}

#[test]
fn the_example_auth_provider_decides_for_every_listener() {
    sim::run(|| async {
        let world = SimWorld::new(5);
        let config = format!(
            "accounts = [\"orders\"]\n{LINE}[plugins.auth.example-auth]\ntokens = [\"s3cret:orders\", \"t0ken:$G\"]\n"
        );
        let broker = sim::start(&world, host(1), &config).await;
        let mut line = Client::connect(&world, host(50), at(4333)).await;
        line.send("login wrong\n").await;
        assert_eq!(line.expect_end().await, "error Authentication Failure\n");
        let mut clients = Vec::new();
        for token in ["s3cret", "s3cret", "t0ken"] {
            let mut client = Client::connect(&world, host(51), at(PORT)).await;
            client
                .send(&format!(
                    "CONNECT {{\"verbose\":false,\"auth_token\":\"{token}\"}}\r\nSUB a 1\r\n"
                ))
                .await;
            client.sync().await;
            clients.push(client);
        }
        clients[0].send("PUB a 2\r\nhi\r\n").await;
        clients[0].sync().await;
        assert_eq!(clients[1].sync().await, "MSG a 1 2\r\nhi\r\n");
        assert_eq!(clients[2].sync().await, "", "another account");
        let mut stranger = Client::connect(&world, host(52), SocketAddr::new(broker.ip, PORT)).await;
        stranger
            .send("CONNECT {\"verbose\":false,\"auth_token\":\"wrong\"}\r\n")
            .await;
        assert!(
            stranger
                .expect_end()
                .await
                .ends_with("-ERR 'Authorization Violation'\r\n")
        );
    });
}

#[test]
fn the_example_store_is_chosen_by_name_and_keeps_messages() {
    sim::run(|| async {
        let world = SimWorld::new(5);
        let config = "[plugins.store.example-store]\nmax_bytes = \"1M\"\n";
        let broker = sim::start(&world, host(1), config).await;
        let (name, store) = broker.server.stores().next().expect("one store");
        assert_eq!(name, "example-store");
        assert!(!store.capabilities().durable);
        let id = StreamId::new(AccountName::global(), "ORDERS").unwrap();
        let options = StreamOptions::new(StorageType::Memory, Arc::new(()));
        let mut stream = store.stream(&id, options).unwrap();
        let message = NewMessage {
            sequence: None,
            time: 1,
            subject: Subject::new(b"orders.1").unwrap(),
            headers: b"",
            payload: b"one",
        };
        let staged = stream.stage(&message).unwrap();
        stream.commit(staged.ticket).unwrap();
        assert_eq!(stream.state().messages, 1);
    });
}

async fn start_with(toml: &str, registry: &Arc<Registry>) -> Result<Server, String> {
    let world = SimWorld::new(5);
    let loaded = Config::load_content(toml.as_bytes(), "test.toml", Format::Toml, &MapSource::new());
    let config = Arc::new(loaded.map_err(|error| error.to_string())?.config);
    let env = sim_env(1, world.host(host(1)), Logger::silent());
    let identity = ServerIdentity {
        id: "N".into(),
        name: "n".into(),
        version: "",
        xkey: String::new(),
    };
    Server::start(config, registry.clone(), env, identity)
        .await
        .map_err(|error| error.to_string())
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    dunlin_builtin::register(&mut registry).unwrap();
    registry
}

#[test]
fn an_unknown_plugin_is_a_start_up_error_that_lists_what_exists() {
    sim::run(|| async {
        let error = start_with(
            "[plugins.listener.lines]\nlisten = \"1.1.1.1:1\"\n",
            &registry().into(),
        )
        .await
        .err();
        assert_eq!(
            error.as_deref(),
            Some("there is no listener plugin \"lines\"; this binary has: line, nats")
        );
    });
}

#[test]
fn a_misspelt_option_of_a_plugin_is_named_with_its_place() {
    sim::run(|| async {
        let error = start_with(
            "[plugins.listener.line]\nlistn = \"1.1.1.1:1\"\n",
            &registry().into(),
        )
        .await
        .err();
        let error = error.expect("refused");
        assert!(
            error.contains("test.toml:2:") && error.contains("unknown field \"listn\""),
            "{error}"
        );
    });
}

#[test]
fn two_plugins_of_one_name_are_refused() {
    let mut registry = registry();
    let error = dunlin_builtin::register(&mut registry).unwrap_err();
    assert!(matches!(error, RegistryError::Duplicate { .. }), "{error}");
    assert!(error.to_string().contains("registered are: "), "{error}");
}

#[test]
fn a_broker_without_auth_providers_lets_everybody_in_unless_users_are_configured() {
    sim::run(|| async {
        let bare = Arc::new(Registry::new());
        assert_eq!(start_with("", &bare).await.err(), None);
        let users = "[authorization]\nuser = \"joe\"\npass = \"x\"\n";
        let error = start_with(users, &bare).await.err();
        assert_eq!(
            error.as_deref(),
            Some("there is no auth plugin \"static\"; this binary has: none")
        );
    });
}
