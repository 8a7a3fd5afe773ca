//! `websocket`, `mqtt`, monitoring and the other listeners that have no effect yet.

use super::{check_errors, check_start, config};
use std::time::Duration;

// CORE section 15 [TestWSParseOptions, TestMQTTParseOptions]
#[test]
fn all_keys_of_the_listeners_are_read() {
    let read = config(
        "websocket {
           listen: \"127.0.0.1:8080\", advertise: me, no_tls: true, same_origin: true, origin: \"http://a:8\"
           handshake_timeout: \"1s\", compress: true, jwt_cookie: j, user_cookie: u, no_auth_user: x
           authentication { username: a, password: b, token: t, timeout: 2 }, headers { X-A: b }
           ping_interval: \"10s\"
         }
         mqtt {
           host: localhost, port: 1883, ack_wait: \"10s\", api_timeout: 3s, max_inflight: 10, js_domain: d
           authorization { user: a, pass: b }, stream_replicas: 3, consumer_memory_storage: true
           consumer_auto_cleanup: \"5m\", reject_qos2_publish: true, downgrade_qos2_subscribe: true
         }",
    );
    let (ws, mqtt) = (read.websocket.unwrap(), read.mqtt.unwrap());
    assert_eq!(
        (ws.host.as_str(), ws.port, ws.compression),
        ("127.0.0.1", 8080, true)
    );
    assert_eq!(ws.handshake_timeout, Some(Duration::from_secs(1)));
    assert_eq!(ws.allowed_origins, ["http://a:8"]);
    assert_eq!(ws.authorization.timeout, Some(Duration::from_secs(2)));
    assert_eq!(ws.headers.get("X-A").map(String::as_str), Some("b"));
    assert_eq!((mqtt.host.as_str(), mqtt.port), ("localhost", 1883));
    assert_eq!(
        (mqtt.max_ack_pending, mqtt.js_api_timeout),
        (10, Duration::from_secs(3))
    );
    assert_eq!(mqtt.consumer_inactive_threshold, Some(Duration::from_secs(300)));
    let defaults = config("mqtt { port: 1883 }").mqtt.unwrap();
    assert_eq!(
        (defaults.ack_wait, defaults.max_ack_pending),
        (Duration::from_secs(30), 1024)
    );
}

// CORE section 15 [TestWSParseInvalidOptions, TestMQTTParseOptions]
#[test]
fn errors_of_the_listeners_are_the_references() {
    check_errors(&[
        (
            "websocket: []",
            "Expected websocket to be a map, got []interface {}",
        ),
        ("websocket { x: 1 }", "unknown field \"x\""),
        (
            "websocket { allowed_origins: {} }",
            "error parsing allowed origins: unsupported type map[string]interface {}",
        ),
        (
            "websocket { origins: [1 ] }",
            "error parsing allowed origins: unsupported type in array int64",
        ),
        (
            "websocket { handshake_timeout: [] }",
            "error parsing handshake timeout: unsupported type []interface {}",
        ),
        (
            "websocket { handshake_timeout: x }",
            "time: invalid duration \"x\"",
        ),
        (
            "websocket { headers: 1 }",
            "error parsing headers: unsupported type int64",
        ),
        (
            "websocket { headers { a: 1 } }",
            "error parsing header key a: unsupported type int64",
        ),
        ("websocket { authorization { x: 1 } }", "unknown field \"x\""),
        ("mqtt: []", "Expected mqtt to be a map, got []interface {}"),
        (
            "mqtt { max_inflight: 70000 }",
            "invalid value 70000, should in [0..65535] range",
        ),
        (
            "mqtt { max_inflight: -1 }",
            "invalid value -1, should in [0..65535] range",
        ),
        (
            "mqtt { consumer_replicas: 1 }",
            "invalid use of field \"consumer_replicas\": consumer replicas setting ignored in this server version",
        ),
        (
            "mqtt { ack_wait: 1 }",
            "invalid use of field \"ack_wait\": ack_wait should be converted to a duration",
        ),
    ]);
}

// CORE-127 [TestWSValidateOptions, TestMQTTValidateOptions]
#[test]
fn listeners_are_checked_at_start() {
    check_start(&[
        ("websocket { port: 8080 }", "websocket requires TLS configuration"),
        (
            "websocket { port: 8080, no_tls: true, origin: \"://a\" }",
            "unable to parse allowed origin: parse \"://a\": invalid URI for request",
        ),
        (
            "websocket { port: 8080, no_tls: true, origin: \"ftp://a\" }",
            "unable to parse allowed origin \"ftp://a\": allowed origins must be absolute URLs with http or https \
             scheme",
        ),
        (
            "websocket { port: 8080, no_tls: true, origin: \"http://\" }",
            "unable to parse allowed origin \"http://\": host is required",
        ),
        (
            "websocket { port: 8080, no_tls: true, no_auth_user: x }",
            "no_auth_user: \"x\" present, but users/nkeys are not defined",
        ),
        (
            "websocket { port: 8080, no_tls: true, authorization { user: a } }, authorization { users [{user: a, \
             pass: b}] }",
            "websocket authentication username not compatible with presence of users/nkeys",
        ),
        (
            "websocket { port: 8080, no_tls: true, jwt_cookie: j }",
            "trusted operators or trusted keys configuration is required for JWT authentication via cookie \"j\"",
        ),
        (
            "websocket { port: 8080, no_tls: true, headers { Host: a } }",
            "websocket: invalid header \"Host\" not allowed",
        ),
        (
            "websocket { port: 8080, no_tls: true, headers { Sec-WebSocket-X: a } }",
            "websocket: invalid header \"Sec-WebSocket-X\", \"Sec-WebSocket-\" prefix not allowed",
        ),
        (
            "mqtt { port: 1883 }",
            "mqtt requires JetStream to be enabled if running in standalone mode",
        ),
        (
            "mqtt { port: 1883 }, cluster { port: -1 }",
            "mqtt requires server name to be explicitly set",
        ),
        (
            "mqtt { port: 1883, authorization { token: a } }, authorization { users [{user: a, pass: b}] }",
            "mqtt authentication token not compatible with presence of users/nkeys",
        ),
        (
            "http_port: 1, https_port: 2",
            "can't specify both HTTP (1) and HTTPs (2) ports",
        ),
        ("https: 2", "TLS cert and key required for HTTPS"),
    ]);
}

// MON-10 [TestHttpsPortConfig*, TestMonitorNoPort]
#[test]
fn the_address_of_the_monitoring_is_the_last_given() {
    let ports = |text: &str| {
        let read = config(text);
        (read.http_port, read.https_port)
    };
    assert_eq!(ports("http: \"a:8222\""), (8222, 0));
    assert_eq!(ports("http: 8222; http_port: 8223"), (8223, 0));
    assert_eq!(ports("monitor_port: 8223; http: 8222"), (8222, 0));
    assert_eq!(ports("https: 8443"), (0, 8443));
    for (given, read) in [("a", "/a"), ("/a/../b//c/", "/b/c"), ("", "/"), ("/", "/")] {
        assert_eq!(
            config(&format!("http_base_path: \"{given}\"")).http_base_path,
            read
        );
    }
}
