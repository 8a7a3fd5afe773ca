//! Users, nkeys, passwords, tokens and permissions from the configuration.
//!
//! The provider of a broker whose configuration chooses no other. Holds the configured users by name and by nkey;
//! decides in the order of AUTH-100, at a login and again after a reload; compares secrets in constant time and runs
//! bcrypt off the shards. A session keeps no secret in the clear. Rules: AUTH-3 to AUTH-21, AUTH-100 to AUTH-102,
//! AUTH-1400.

mod certificate;
mod claims;
mod nkey;
mod password;
mod users;

use std::sync::Arc;

use async_trait::async_trait;
use dunlin_api::config::Config;
use dunlin_api::{
    AccountName, AuthPosture, AuthProvider, Component, Denied, Env, Evidence, Login, LoginAttempt, NoOptions,
    Plugin, PluginError, Setup,
};

use certificate::MappingListeners;
use claims::{Claims, KeptClaims, Matched};
use nkey::TrustedProxies;
use password::{Bench, Password};
use users::{User, Users};

/// The plugin.
pub fn plugin() -> Plugin {
    Plugin::auth::<StaticAuth>()
}

/// Decides from the configuration's `authorization`, `accounts` and `proxies`.
pub struct StaticAuth {
    env: Env,
    bench: Bench,
    scheme: Scheme,
    /// Who stands in for connections without credentials (AUTH-13).
    stand_in: Option<StandIn>,
    proxies: TrustedProxies,
    mapping: MappingListeners,
}

/// What the configuration asks for.
enum Scheme {
    /// Nothing: everybody is let into the global account.
    Open,
    /// One token for all (AUTH-21).
    Token {
        token: Arc<Password>,
        proxy_required: bool,
    },
    /// Users by name or nkey, the single one included.
    Users(Users),
}

struct StandIn {
    /// Name or nkey.
    user: String,
    /// The user of AUTH-20, which INFO does not give away.
    is_hidden: bool,
}

impl Component for StaticAuth {
    const NAME: &'static str = "static";
    const SUMMARY: &'static str = "users, nkeys, token and permissions from `authorization` and `accounts`";
    type Options = NoOptions;

    fn open(_: NoOptions, setup: &Setup<'_>) -> Result<Self, PluginError> {
        Self::new(setup.config, setup.env).map_err(PluginError)
    }
}

impl StaticAuth {
    fn new(config: &Config, env: &Env) -> Result<Self, String> {
        let block = config.authorization.as_ref();
        let token = block.filter(|block| !block.token.is_empty());
        let mut users = Users::of(config)?;
        let stand_in = match &config.no_auth_user {
            Some(user) => Some(StandIn {
                user: user.clone(),
                is_hidden: false,
            }),
            None if only_system_users(config) => {
                let user = users.add_hidden(&mut env.rng());
                Some(StandIn {
                    user,
                    is_hidden: true,
                })
            }
            None => None,
        };
        let scheme = match token {
            Some(block) => Scheme::Token {
                token: Arc::new(Password::new(&block.token)),
                proxy_required: block.proxy_required,
            },
            // An empty list of users asks nobody for credentials, as in the reference.
            None if users.is_empty() => Scheme::Open,
            None => Scheme::Users(users),
        };
        Ok(Self {
            bench: Bench::new(env),
            env: env.clone(),
            scheme,
            stand_in,
            proxies: TrustedProxies::of(config)?,
            mapping: MappingListeners::of(config),
        })
    }

    /// The decision, from the nearest claim to the poorest (AUTH-100).
    async fn decide_on(&self, claims: &Claims<'_>) -> Result<Login, Denied> {
        match &self.scheme {
            Scheme::Open => Ok(self.admit_all(claims, String::new(), Matched::Nothing)),
            Scheme::Token { proxy_required, .. } if *proxy_required && claims.proxy.is_none() => {
                Err(Denied::ProxyRequired)
            }
            Scheme::Token { token, .. } => {
                token.check(claims.token, &self.bench).await?;
                Ok(self.admit_all(claims, "token".to_owned(), Matched::Token(token.clone())))
            }
            Scheme::Users(users) => {
                if let Some(user) = self.by_nkey(users, claims)? {
                    return self.admit_signer(user, claims);
                }
                self.admit_named(users, claims).await
            }
        }
    }

    /// The user of the nkey in CONNECT, or of a stand-in's; an nkey that nobody has is refused at once (AUTH-101).
    fn by_nkey<'a>(&self, users: &'a Users, claims: &Claims<'_>) -> Result<Option<&'a User>, Denied> {
        if !users.has_nkeys() {
            return Ok(None);
        }
        if !claims.nkey.is_empty() {
            return users.keyed(claims.nkey).map(Some).ok_or(Denied::Credentials);
        }
        let stand_in = self.stand_in.as_ref().filter(|_| claims.is_anonymous());
        Ok(stand_in.and_then(|stand_in| users.keyed(&stand_in.user)))
    }

    fn admit_signer(&self, user: &User, claims: &Claims<'_>) -> Result<Login, Denied> {
        user.admit(claims.kind, claims.proxy.as_ref())?;
        // AUTH-16: a stand-in needs no signature, named or not.
        let is_stand_in = self.stand_in.as_ref().is_some_and(|it| it.user == user.identity);
        let is_signed = !is_stand_in && claims.signature.is_by(&user.identity);
        if !is_signed && !is_stand_in {
            return Err(Denied::Credentials);
        }
        let matched = if is_signed {
            Matched::Signature
        } else {
            Matched::Nothing
        };
        Ok(self.login("nkey", user, claims, matched))
    }

    async fn admit_named(&self, users: &Users, claims: &Claims<'_>) -> Result<Login, Denied> {
        let is_mapped = self.mapping.maps(claims.kind);
        let stand_in = self
            .stand_in
            .as_ref()
            .filter(|_| claims.is_anonymous() && !is_mapped);
        let user = if is_mapped {
            // AUTH-103: CONNECT's name counts nothing here, and a stand-in has no certificate.
            let named = claims
                .tls
                .and_then(|tls| certificate::user(users, tls, claims.kind));
            if named.is_some() && !claims.user.is_empty() {
                self.env.log().warn(format_args!(
                    "User {:?} found in connect proto, but user required from cert",
                    claims.user
                ));
            }
            named
        } else {
            users.named(stand_in.map_or(claims.user, |stand_in| &stand_in.user))
        };
        let user = user.ok_or(Denied::Credentials)?;
        user.admit(claims.kind, claims.proxy.as_ref())?;
        if stand_in.is_some() {
            return Ok(self.login("user", user, claims, Matched::Nothing));
        }
        if user.needs_certificate && !is_mapped {
            return Err(Denied::Credentials);
        }
        // AUTH-103: the password of a user whom a certificate names still counts.
        user.password.check(claims.password, &self.bench).await?;
        Ok(self.login("user", user, claims, Matched::Password(user.password.clone())))
    }

    fn login(&self, kind: &str, user: &User, claims: &Claims<'_>, matched: Matched) -> Login {
        Login {
            account: user.account.clone(),
            permissions: user.permissions.clone(),
            ..self.admit_all(claims, format!("{kind}:{}", user.identity), matched)
        }
    }

    /// Whether the user that CONNECT named is none any more (AUTH-1610).
    fn is_gone(&self, claims: &Claims<'_>) -> bool {
        let users = match &self.scheme {
            Scheme::Users(users) => Some(users),
            Scheme::Open | Scheme::Token { .. } => None,
        };
        if !claims.nkey.is_empty() {
            return users.is_none_or(|users| users.keyed(claims.nkey).is_none());
        }
        !claims.user.is_empty() && users.is_none_or(|users| users.named(claims.user).is_none())
    }

    /// Into the global account, with all rights.
    fn admit_all(&self, claims: &Claims<'_>, user: String, matched: Matched) -> Login {
        Login {
            user,
            proxy: claims.proxy.clone(),
            evidence: claims.keep(matched, &self.env),
            ..Login::into_account(AccountName::global())
        }
    }
}

#[async_trait]
impl AuthProvider for StaticAuth {
    fn posture(&self) -> AuthPosture {
        let signs = matches!(&self.scheme, Scheme::Users(users) if users.has_nkeys());
        let posture = match (&self.scheme, &self.stand_in) {
            (Scheme::Open, _) => AuthPosture::open(),
            (Scheme::Users(users), Some(stand_in)) => AuthPosture {
                announced: stand_in.is_hidden,
                // AUTH-14: for a user by name, whom nothing but its name is asked for.
                connect_optional: users
                    .named(&stand_in.user)
                    .is_some_and(|user| !user.proxy_required),
                ..AuthPosture::credentials()
            },
            _ => AuthPosture::credentials(),
        };
        AuthPosture {
            nonce: signs || !self.proxies.is_empty(),
            ..posture
        }
    }

    async fn decide(&self, attempt: &LoginAttempt) -> Result<Login, Denied> {
        let signature = &attempt.credentials.proxy_signature;
        let proxy = self.proxies.signer(&attempt.nonce, signature)?;
        self.decide_on(&Claims::of(attempt, proxy)).await
    }

    async fn renew(&self, evidence: &Evidence) -> Result<Login, Denied> {
        let kept = evidence.get::<KeptClaims>().ok_or(Denied::Credentials)?;
        // AUTH-1401: who came through a proxy goes with its trust.
        if kept.proxy().is_some_and(|proxy| !self.proxies.trusts(proxy)) {
            return Err(Denied::ProxyNotTrusted);
        }
        let claims = kept.claims();
        match self.decide_on(&claims).await {
            Err(Denied::Credentials) if self.is_gone(&claims) => Err(Denied::UserGone),
            decision => decision,
        }
    }
}

/// Whether nothing but users of the system account is configured: plain clients then keep working (AUTH-20).
fn only_system_users(config: &Config) -> bool {
    let system = config.system_account_name();
    config.authorization.is_none()
        && matches!(config.accounts.as_slice(), [only] if system == Some(only.name.as_str()))
}
