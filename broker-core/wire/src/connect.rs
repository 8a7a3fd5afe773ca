//! What a client says about itself.

use crate::json::{self, merge_fields};
use crate::{JsonError, Secret, SubjectPermission};

/// The options of CONNECT, merged over all that the connection sent so far (CORE-4, CORE-18).
///
/// Fields are named like their JSON keys. Texts are as sent and may hold anything but invalid UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Whether own messages come back. True if never sent.
    pub echo: bool,
    /// Whether operations are answered with `+OK`. True if never sent.
    pub verbose: bool,
    /// Whether publish subjects are checked. True if never sent.
    pub pedantic: bool,
    /// Informational.
    pub tls_required: bool,
    /// Public user key.
    pub nkey: String,
    /// User claims.
    pub jwt: Secret,
    /// Signature of the nonce.
    pub sig: Secret,
    /// Token.
    pub auth_token: Secret,
    /// User name.
    pub user: String,
    /// Password.
    pub pass: Secret,
    /// Name of the client, for people.
    pub name: String,
    /// Language of the client library.
    pub lang: String,
    /// Version of the client library.
    pub version: String,
    /// Protocol level; the session refuses others than 0 and 1 (CORE-20).
    pub protocol: i64,
    /// Refused after login if set.
    pub account: String,
    /// Refused after login if set.
    pub new_account: bool,
    /// Whether the client knows headers.
    pub headers: bool,
    /// Whether requests that nobody hears are answered; needs `headers`.
    pub no_responders: bool,
    /// Routes and leafnodes: what the peer takes.
    pub import: Option<Box<SubjectPermission>>,
    /// Routes and leafnodes: what the peer gives.
    pub export: Option<Box<SubjectPermission>>,
    /// Leafnodes: account at the other side.
    pub remote_account: String,
    /// Signature of the nonce by a proxy.
    pub proxy_sig: Secret,
}

impl Connect {
    /// How a connection behaves before its CONNECT (CORE-4): verbose, pedantic, with echo, no headers.
    pub fn before_login() -> Self {
        Self {
            echo: true,
            verbose: true,
            pedantic: true,
            tls_required: false,
            nkey: String::new(),
            jwt: Secret::default(),
            sig: Secret::default(),
            auth_token: Secret::default(),
            user: String::new(),
            pass: Secret::default(),
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            protocol: 0,
            account: String::new(),
            new_account: false,
            headers: false,
            no_responders: false,
            import: None,
            export: None,
            remote_account: String::new(),
            proxy_sig: Secret::default(),
        }
    }

    /// Takes over what the JSON of a CONNECT sets; the rest stays. Keys match in any case, unknown
    /// ones pass, `null` changes nothing.
    ///
    /// # Errors
    /// Not JSON, or a wrong type: the connection is to be closed with ProtocolViolation, without `-ERR`
    /// (CORE-18). The error names the key, never the value.
    pub fn merge(&mut self, json: &[u8]) -> Result<(), JsonError> {
        json::merge(self, json)
    }
}

merge_fields!(Connect:
    echo verbose pedantic tls_required nkey jwt sig auth_token user pass name lang version protocol account
    new_account headers no_responders import export remote_account proxy_sig
);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn merged(json: &str) -> Connect {
        let mut connect = Connect::before_login();
        assert_eq!(connect.merge(json.as_bytes()), Ok(()), "{json}");
        connect
    }

    #[track_caller]
    fn refused(json: &[u8], error: JsonError) {
        assert_eq!(
            Connect::before_login().merge(json),
            Err(error),
            "{}",
            crate::Quoted(json)
        );
    }

    // CORE-4
    #[test]
    fn empty_connect_leaves_everything() {
        for json in [
            "{}",
            "null",
            " { } ",
            "\t{}\n",
            r#"{"verbose":null,"user":null,"import":null}"#,
        ] {
            assert_eq!(merged(json), Connect::before_login());
        }
    }

    // CORE-4
    #[test]
    fn later_connect_merges_over_the_earlier_one() {
        let mut connect = merged(r#"{"verbose":false,"user":"derek","pass":"foo","lang":"go","protocol":1}"#);
        assert_eq!(connect.merge(br#"{"pedantic":false,"user":"ivan"}"#), Ok(()));
        let expected = Connect {
            verbose: false,
            pedantic: false,
            user: "ivan".into(),
            pass: Secret::new("foo"),
            lang: "go".into(),
            protocol: 1,
            ..Connect::before_login()
        };
        assert_eq!(connect, expected);
    }

    // CORE-4, CORE-18 [TestClientConnect]
    #[test]
    fn connect_sets_what_it_names() {
        let flags = merged(r#"{"verbose":true,"pedantic":true,"tls_required":false,"echo":false}"#);
        assert_eq!(
            flags,
            Connect {
                echo: false,
                ..Connect::before_login()
            }
        );
        let user = merged(r#"{"user":"derek","pass":"foo","name":"router"}"#);
        let (name, pass) = ("router".to_owned(), Secret::new("foo"));
        assert_eq!(
            user,
            Connect {
                user: "derek".into(),
                pass,
                name,
                ..Connect::before_login()
            }
        );
        let token = merged(r#"{"auth_token":"YZZ222","name":"router"}"#);
        let (name, auth_token) = ("router".to_owned(), Secret::new("YZZ222"));
        assert_eq!(
            token,
            Connect {
                auth_token,
                name,
                ..Connect::before_login()
            }
        );
    }

    // CORE-18
    #[test]
    fn keys_match_in_any_case_and_unknown_ones_pass() {
        let connect = merged("{\"VERBOSE\":false,\"u\u{17f}er\":\"a\",\"USER\":\"b\",\"x\":[{\"y\":1e9}]}");
        assert_eq!((connect.verbose, &*connect.user), (false, "b"));
    }

    // CORE-18
    #[test]
    fn wrong_type_is_refused_by_key() {
        for (json, key) in [
            (r#"{"verbose":"yes"}"#, "verbose"),
            (r#"{"verbose":1}"#, "verbose"),
            (r#"{"user":12}"#, "user"),
            (r#"{"protocol":1.0}"#, "protocol"),
            (r#"{"protocol":99999999999999999999}"#, "protocol"),
            (r#"{"import":{"allow":"foo"}}"#, "import"),
        ] {
            refused(json.as_bytes(), JsonError::Type { key });
        }
        refused(b"[]", JsonError::NoObject);
        refused(b"\"x\"", JsonError::NoObject);
    }

    // CORE-18, CORE-28
    #[test]
    fn text_that_is_no_json_is_refused() {
        for json in [
            &b""[..],
            b"\r",
            b"{",
            br#"{"user":"a"#,
            format!(r#"{{"x":{}"#, "[".repeat(4000)).as_bytes(),
        ] {
            refused(json, JsonError::End);
        }
        for (json, at) in [
            (&b"{}x"[..], 3),
            (b"{} {}", 4),
            (b"xx", 1),
            (b"{\n\"a\":,", 7),
            (b"{\"a\":01}", 7),
        ] {
            refused(json, JsonError::Syntax { at });
        }
    }

    #[test]
    fn depth_of_an_unknown_value_is_no_error() {
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
        assert_eq!(merged(&deep), Connect::before_login());
    }

    #[test]
    fn damaged_text_becomes_replacement_characters() {
        let mut connect = Connect::before_login();
        assert_eq!(
            connect.merge(b"{\"name\":\"a\xffb\",\"lang\":\"\\\\ud83d \\ud83d\\ude00 \\ud83d\\n\\uDE00\"}"),
            Ok(())
        );
        assert_eq!(
            (&*connect.name, &*connect.lang),
            ("a\u{fffd}b", "\\ud83d 😀 \u{fffd}\n\u{fffd}")
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let connect = merged(
            r#"{"pass":"s3cr3t","auth_token":"s3cr3t","jwt":"s3cr3t","sig":"s3cr3t","proxy_sig":"s3cr3t"}"#,
        );
        assert!(!format!("{connect:?}").contains("s3cr3t"));
        let error = Connect::before_login()
            .merge(br#"{"pass":31337}"#)
            .expect_err("a number");
        assert_eq!(error.to_string(), "wrong type of value for \"pass\"");
    }
}
