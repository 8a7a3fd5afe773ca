//! Decisions of the static provider about sessions that are open, after its configuration changed.
//!
//! What a login itself needs is shown by the scripts `auth_*`, `nkey_*` and `proxy_*`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dunlin_api::config::{Config, Format, MapSource};
use dunlin_api::{
    AuthProvider as _, Component as _, ConnectionType, Credentials, Denied, Env, Evidence, Logger, Login,
    LoginAttempt, NoOptions, Secret, Setup,
};
use dunlin_net::sim::{SimWorld, sim_env};
use dunlin_static_auth::StaticAuth;
use nkeys::KeyPair;

const NONCE: &str = "0123456789abcde";
const SEED: &str = "SUAN56AB7XR5RARZSZMG3HMZJEZ22FPEV5D5CGRBQ4BG7JWUXESWXOBBJE";
const NKEY: &str = "UANDPXCSLZIKN2UCA72DSR4CBQ7LKN4XXMDDYDXO22DZHXRUKAY2KJW4";

/// Logs in under one configuration and is decided about again under another.
struct Case {
    env: Env,
}

impl Case {
    fn new() -> Self {
        Self {
            env: sim_env(1, SimWorld::new(1).host([10, 0, 0, 1].into()), Logger::silent()),
        }
    }

    fn provider(&self, conf: &str) -> StaticAuth {
        let loaded = Config::load_content(conf.as_bytes(), "c", Format::NatsConf, &MapSource::new())
            .unwrap_or_else(|error| panic!("{conf}: {error}"));
        let setup = Setup {
            env: &self.env,
            config: &loaded.config,
        };
        StaticAuth::open(NoOptions {}, &setup).unwrap_or_else(|error| panic!("{conf}: {error}"))
    }

    async fn login(&self, conf: &str, credentials: Credentials) -> Login {
        let mut attempt = LoginAttempt::anonymous(([127, 0, 0, 1], 1).into(), ConnectionType::Standard);
        attempt.credentials = credentials;
        attempt.nonce = NONCE.to_owned();
        self.provider(conf)
            .decide(&attempt)
            .await
            .unwrap_or_else(|error| panic!("{conf}: {error}"))
    }

    /// The account that the session is in afterwards.
    async fn renew(&self, evidence: &Evidence, conf: &str) -> Result<String, Denied> {
        let renewed = self.provider(conf).renew(evidence).await;
        renewed.map(|login| login.account.as_str().to_owned())
    }

    async fn check(&self, before: &str, credentials: Credentials, after: &[(&str, Result<&str, Denied>)]) {
        let login = self.login(before, credentials).await;
        for (conf, expected) in after {
            let expected = expected.map(str::to_owned);
            assert_eq!(
                self.renew(&login.evidence, conf).await,
                expected,
                "{before} -> {conf}"
            );
        }
    }
}

fn user(name: &str, password: &str) -> Credentials {
    Credentials {
        user: name.to_owned(),
        password: Secret::new(password),
        ..Credentials::default()
    }
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

fn signed() -> Secret {
    let key = KeyPair::from_seed(SEED).expect("a seed");
    Secret::new(URL_SAFE_NO_PAD.encode(key.sign(NONCE.as_bytes()).expect("a signature")))
}

const REFUSED: Result<&str, Denied> = Err(Denied::Credentials);
const GONE: Result<&str, Denied> = Err(Denied::UserGone);

// AUTH-1610, AUTH-10
#[tokio::test(start_paused = true)]
async fn a_user_stays_while_the_password_is_the_same() {
    let hashed = format!(
        "authorization {{ users: [ {{user: u, pass: \"{}\"}} ] }}",
        hash("foo")
    );
    let other = format!(
        "authorization {{ users: [ {{user: u, pass: \"{}\"}} ] }}",
        hash("bar")
    );
    let plain = "authorization { users: [ {user: u, pass: foo} ] }";
    let case = Case::new();
    for before in [plain, &hashed] {
        case.check(
            before,
            user("u", "foo"),
            &[
                (before, Ok("$G")),
                (plain, Ok("$G")),
                (&hashed, Ok("$G")),
                (&other, REFUSED),
                ("authorization { users: [ {user: u, pass: bar} ] }", REFUSED),
                ("authorization { users: [ {user: v, pass: foo} ] }", GONE),
                ("accounts { A { users: [ {user: u, pass: foo} ] } }", Ok("A")),
                ("authorization { user: u, pass: foo }", Ok("$G")),
                ("authorization { token: foo }", GONE),
                ("", Ok("$G")),
            ],
        )
        .await;
    }
}

// AUTH-1610: credentials that nobody asked for count once they are asked for.
#[tokio::test(start_paused = true)]
async fn a_session_of_an_open_server_stays_if_it_showed_what_is_asked_for_now() {
    let hashed = format!("authorization {{ user: u, pass: \"{}\" }}", hash("foo"));
    let case = Case::new();
    let after: &[_] = &[
        ("authorization { user: u, pass: foo }", Ok("$G")),
        ("authorization { users: [ {user: u, pass: bar} ] }", REFUSED),
        // Nobody knows any more what was typed: the client logs in again.
        (&hashed, REFUSED),
        (
            "no_auth_user: v; accounts { A { users: [ {user: v, pass: x}, {user: u, pass: y} ] } }",
            REFUSED,
        ),
    ];
    case.check("", user("u", "foo"), after).await;
    let after: &[_] = &[
        ("authorization { user: u, pass: foo }", REFUSED),
        ("authorization { token: foo }", REFUSED),
        (
            "no_auth_user: v; accounts { A { users: [ {user: v, pass: x} ] } }",
            Ok("A"),
        ),
    ];
    case.check("", Credentials::default(), after).await;
}

// AUTH-1610, AUTH-10
#[tokio::test(start_paused = true)]
async fn a_token_counts_while_it_is_the_same() {
    let hashed = format!("authorization {{ token: \"{}\" }}", hash("foo"));
    let credentials = Credentials {
        token: Secret::new("foo"),
        ..Credentials::default()
    };
    let after: &[_] = &[
        ("authorization { token: foo }", Ok("$G")),
        (&hashed, Ok("$G")),
        ("authorization { token: bar }", REFUSED),
        ("authorization { user: u, pass: foo }", REFUSED),
    ];
    Case::new()
        .check("authorization { token: foo }", credentials, after)
        .await;
}

// AUTH-1610, AUTH-16
#[tokio::test(start_paused = true)]
async fn an_nkey_that_was_proven_needs_no_second_proof() {
    let keyed = format!("authorization {{ users: [ {{nkey: {NKEY}}} ] }}");
    let moved = format!("accounts {{ A {{ users: [ {{nkey: {NKEY}}} ] }} }}");
    let websocket = format!("authorization {{ users: [ {{nkey: {NKEY}, clients: websocket}} ] }}");
    let credentials = || Credentials {
        nkey: NKEY.to_owned(),
        signature: signed(),
        ..Credentials::default()
    };
    let after: &[_] = &[
        (&*keyed, Ok("$G")),
        (&moved, Ok("A")),
        (&websocket, REFUSED),
        ("authorization { user: u, pass: foo }", GONE),
    ];
    Case::new().check(&keyed, credentials(), after).await;
    // An open server has not looked at the signature.
    Case::new().check("", credentials(), &[(&keyed, REFUSED)]).await;
    let unproven = Credentials {
        nkey: NKEY.to_owned(),
        ..Credentials::default()
    };
    let stand_in = format!("no_auth_user: {NKEY}; {keyed}");
    let after: &[_] = &[(&*stand_in, Ok("$G")), (&keyed, REFUSED)];
    Case::new().check(&stand_in, unproven, after).await;
}

// AUTH-1401: whoever came through a proxy goes with its trust.
#[tokio::test(start_paused = true)]
async fn a_session_ends_with_the_trust_in_its_proxy() {
    let trusting = format!("proxies {{ trusted: [ {{key: {NKEY}}} ] }}");
    let credentials = Credentials {
        proxy_signature: signed(),
        ..Credentials::default()
    };
    let gone = Err(Denied::ProxyNotTrusted);
    let after: &[_] = &[
        (&*trusting, Ok("$G")),
        ("proxies { trusted: [] }", gone),
        ("", gone),
    ];
    Case::new().check(&trusting, credentials, after).await;
    let required = format!("{trusting}; authorization {{ token: t, proxy_required: true }}");
    let credentials = Credentials {
        token: Secret::new("t"),
        ..Credentials::default()
    };
    let after: &[_] = &[(&*required, Err(Denied::ProxyRequired))];
    Case::new()
        .check("authorization { token: t }", credentials, after)
        .await;
}

// AUTH-1610: another provider's evidence says nothing.
#[tokio::test(start_paused = true)]
async fn evidence_of_another_provider_is_refused() {
    let case = Case::new();
    for evidence in [Evidence::default(), Evidence::new("u")] {
        assert_eq!(
            case.renew(&evidence, "authorization { user: u, pass: p }").await,
            Err(Denied::Credentials)
        );
    }
}

// AUTH-22: what a session keeps shows no secret.
#[tokio::test(start_paused = true)]
async fn kept_evidence_does_not_print() {
    let login = Case::new()
        .login("authorization { user: u, pass: foo }", user("u", "foo"))
        .await;
    let printed = format!("{login:?}");
    assert!(!printed.contains("foo"), "{printed}");
}
