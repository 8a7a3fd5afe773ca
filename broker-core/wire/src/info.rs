//! What a server says about itself.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::json::{self, Merger, merge_fields};
use crate::{JsonError, Sink};

/// The document of an INFO line: keys in the order of CORE-14, each left out when it is empty there.
///
/// Fields are named like their JSON keys. Used by every dialect; the last third is for servers only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "CORE-14 is the table of these keys")]
pub struct Info {
    pub server_id: String,
    pub server_name: String,
    pub version: String,
    pub proto: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub git_commit: String,
    pub go: String,
    pub host: String,
    pub port: i64,
    pub headers: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub auth_required: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_required: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_verify: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_available: bool,
    pub max_payload: i32,
    #[serde(skip_serializing_if = "is_empty")]
    pub jetstream: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub ip: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub client_id: u64,
    #[serde(skip_serializing_if = "is_empty")]
    pub client_ip: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub nonce: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub cluster: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub cluster_dynamic: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub domain: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub connect_urls: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub ws_connect_urls: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub ldm: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub compression: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub connect_info: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub remote_account: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub acc_is_sys: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub api_lvl: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub import: Option<SubjectPermission>,
    #[serde(skip_serializing_if = "is_empty")]
    pub export: Option<SubjectPermission>,
    #[serde(skip_serializing_if = "is_empty")]
    pub lnoc: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub lnocu: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub ln: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub info_on_connect: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub route_pool_size: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub route_pool_idx: i64,
    #[serde(skip_serializing_if = "is_empty")]
    pub route_account: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub route_acc_add_reqid: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub gossip_mode: u8,
    #[serde(skip_serializing_if = "is_empty")]
    pub gateway: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub gateway_urls: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub gateway_url: String,
    #[serde(skip_serializing_if = "is_empty")]
    pub gateway_cmd: u8,
    #[serde(skip_serializing_if = "is_empty", serialize_with = "json::base64")]
    pub gateway_cmd_payload: Vec<u8>,
    #[serde(skip_serializing_if = "is_empty")]
    pub gateway_nrp: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub gateway_iom: bool,
    #[serde(skip_serializing_if = "is_empty")]
    pub leafnode_urls: Vec<String>,
    #[serde(skip_serializing_if = "is_empty")]
    pub xkey: String,
}

/// Subjects that a peer server may and may not use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubjectPermission {
    /// Only these; empty: all.
    #[serde(skip_serializing_if = "is_empty")]
    pub allow: Vec<String>,
    /// None of these.
    #[serde(skip_serializing_if = "is_empty")]
    pub deny: Vec<String>,
}

impl Info {
    /// Reads the JSON of an INFO line; what it does not set is empty.
    ///
    /// # Errors
    /// Not JSON, or a wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, JsonError> {
        let mut info = Self::default();
        json::merge(&mut info, json)?;
        Ok(info)
    }

    /// Appends the INFO line and returns its length: `INFO {..} \r\n`, with a space before the line
    /// end (CORE-14). Allocates; an INFO is sent a few times in the life of a connection.
    pub fn write_line(&self, sink: &mut impl Sink) -> usize {
        let json = json::to_vec(self);
        let len = json.len() + 8;
        sink.put(b"INFO ");
        sink.put(&json);
        sink.put(b" \r\n");
        len
    }

    /// The INFO line by itself.
    pub fn info_line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        self.write_line(&mut line);
        line
    }
}

merge_fields!(Info:
    server_id server_name version proto git_commit go host port headers auth_required tls_required tls_verify
    tls_available max_payload jetstream ip client_id client_ip nonce cluster cluster_dynamic domain connect_urls
    ws_connect_urls ldm compression connect_info remote_account acc_is_sys api_lvl import export lnoc lnocu ln
    info_on_connect route_pool_size route_pool_idx route_account route_acc_add_reqid gossip_mode gateway gateway_urls
    gateway_url gateway_cmd gateway_cmd_payload gateway_nrp gateway_iom leafnode_urls xkey
);
merge_fields!(SubjectPermission: allow deny);

impl<'de> Deserialize<'de> for Info {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Info;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an INFO object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Info, A::Error> {
                let mut info = Info::default();
                Merger {
                    into: &mut info,
                    at: &mut None,
                }
                .visit_map(map)?;
                Ok(info)
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Whether a key is left out: no text, no items, zero, false.
fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    // CORE-14
    #[test]
    fn empty_info_has_the_keys_that_are_never_left_out() {
        let line = String::from_utf8(Info::default().info_line()).expect("text");
        expect![[r#"INFO {"server_id":"","server_name":"","version":"","proto":0,"go":"","host":"","port":0,"headers":false,"max_payload":0} "#]]
            .assert_eq(line.strip_suffix("\r\n").expect("a line"));
    }

    /// Every key with a value, in the order of CORE-14.
    const FULL: &str = concat!(
        r#"{"server_id":"N","server_name":"n","version":"2.15.2","proto":1,"git_commit":"abcdef1","go":"go1","#,
        r#""host":"0.0.0.0","port":4222,"headers":true,"auth_required":true,"tls_required":true,"tls_verify":true,"#,
        r#""tls_available":true,"max_payload":-1,"jetstream":true,"ip":"1","client_id":5,"client_ip":"::1","#,
        r#""nonce":"x","cluster":"c","cluster_dynamic":true,"domain":"d","connect_urls":["a:1","b:2"],"#,
        r#""ws_connect_urls":["w:1"],"ldm":true,"compression":"s2","connect_info":true,"remote_account":"A","#,
        r#""acc_is_sys":true,"api_lvl":5,"import":{"allow":["a"],"deny":["b"]},"export":{"allow":["c"]},"#,
        r#""lnoc":true,"lnocu":true,"ln":true,"info_on_connect":true,"route_pool_size":3,"route_pool_idx":1,"#,
        r#""route_account":"R","route_acc_add_reqid":"q","gossip_mode":2,"gateway":"g","gateway_urls":["u"],"#,
        r#""gateway_url":"v","gateway_cmd":1,"gateway_cmd_payload":"aGk=","gateway_nrp":true,"gateway_iom":true,"#,
        r#""leafnode_urls":["l"],"xkey":"X"}"#
    );

    // CORE-14
    #[test]
    fn every_key_is_read_and_written_in_order() {
        let info = Info::parse(FULL.as_bytes()).expect("reads");
        let line = String::from_utf8(info.info_line()).expect("text");
        assert_eq!(line, format!("INFO {FULL} \r\n"));
        assert_eq!(serde_json::from_str::<Info>(FULL).expect("reads"), info);
    }

    // CORE-14
    #[test]
    fn text_is_escaped_as_go_escapes_it() {
        let info = Info {
            server_name: "<a&b>\u{2028}\u{2029}\u{1}\u{8}\"\\ü\u{7f}".into(),
            ..Info::default()
        };
        let line = String::from_utf8(info.info_line()).expect("text");
        let escaped = r#""server_name":"\u003ca\u0026b\u003e\u2028\u2029\u0001\b\"\\ü"#;
        assert!(line.contains(&format!("{escaped}\u{7f}\"")), "{line}");
        assert_eq!(Info::parse(&line.as_bytes()[5..line.len() - 3]), Ok(info));
    }

    // CORE-24
    #[test]
    fn info_of_a_wrong_type_is_refused() {
        assert_eq!(
            Info::parse(br#"{"port":"x"}"#),
            Err(JsonError::Type { key: "port" })
        );
        assert_eq!(
            Info::parse(br#"{"gateway_cmd":256}"#),
            Err(JsonError::Type { key: "gateway_cmd" })
        );
        assert_eq!(Info::parse(b"\r"), Err(JsonError::End));
    }
}
