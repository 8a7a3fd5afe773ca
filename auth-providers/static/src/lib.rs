//! Users, passwords, tokens and permissions from the configuration.
//!
//! The provider of a broker whose configuration chooses no other. Holds the configured users by name; decides in the
//! order of AUTH-100; compares secrets in constant time and runs bcrypt on the off-load pool, so that a login costs the
//! shards nothing. Rules: AUTH-5 to AUTH-21, AUTH-100 to AUTH-102.

mod password;
mod users;

use async_trait::async_trait;
use dunlin_api::config::Config;
use dunlin_api::{
    AccountName, AuthPosture, AuthProvider, Component, Denied, Env, Login, LoginAttempt, NoOptions, Plugin,
    PluginError, Setup,
};

use password::Password;
use users::{Known, Users};

/// The plugin.
pub fn plugin() -> Plugin {
    Plugin::auth::<StaticAuth>()
}

/// Decides from the configuration's `authorization` and `accounts`.
pub struct StaticAuth {
    env: Env,
    scheme: Scheme,
    /// Who stands in for connections without credentials (AUTH-13).
    stand_in: Option<StandIn>,
}

/// What the configuration asks for.
enum Scheme {
    /// Nothing: everybody is let into the global account.
    Open,
    /// One token for all (AUTH-21).
    Token(Password),
    /// Users by name, the single one included.
    Users(Users),
}

struct StandIn {
    user: String,
    /// The user of AUTH-20, which INFO does not give away.
    is_hidden: bool,
}

impl Component for StaticAuth {
    const NAME: &'static str = "static";
    const SUMMARY: &'static str = "users, token and permissions from `authorization` and `accounts`";
    type Options = NoOptions;

    fn open(_: NoOptions, setup: &Setup<'_>) -> Result<Self, PluginError> {
        let config = setup.config;
        let block = config.authorization.as_ref();
        let token = block.map(|block| &block.token).filter(|token| !token.is_empty());
        let mut users = Users::of(config).map_err(PluginError)?;
        let stand_in = match &config.no_auth_user {
            Some(user) => Some(StandIn {
                user: user.clone(),
                is_hidden: false,
            }),
            None if only_system_users(config) => {
                let user = users.add_hidden(&mut setup.env.rng());
                Some(StandIn {
                    user,
                    is_hidden: true,
                })
            }
            None => None,
        };
        let scheme = match token {
            Some(token) => Scheme::Token(Password::new(token)),
            // An empty list of users asks nobody for credentials, as in the reference.
            None if users.is_empty() => Scheme::Open,
            None => Scheme::Users(users),
        };
        Ok(Self {
            env: setup.env.clone(),
            scheme,
            stand_in,
        })
    }
}

#[async_trait]
impl AuthProvider for StaticAuth {
    fn posture(&self) -> AuthPosture {
        match (&self.scheme, &self.stand_in) {
            (Scheme::Open, _) => AuthPosture::open(),
            (_, None) => AuthPosture::credentials(),
            (_, Some(stand_in)) => AuthPosture {
                announced: stand_in.is_hidden,
                connect_optional: true,
                ..AuthPosture::credentials()
            },
        }
    }

    async fn decide(&self, attempt: &LoginAttempt) -> Result<Login, Denied> {
        let credentials = &attempt.credentials;
        match &self.scheme {
            Scheme::Open => Ok(Login::into_account(AccountName::global())),
            Scheme::Token(token) => {
                token.check(&credentials.token, &self.env).await?;
                Ok(Login {
                    user: "token".to_owned(),
                    ..Login::into_account(AccountName::global())
                })
            }
            Scheme::Users(users) => {
                let is_anonymous = credentials.user.is_empty()
                    && credentials.password.is_empty()
                    && credentials.token.is_empty();
                let (name, is_stand_in) = match &self.stand_in {
                    Some(stand_in) if is_anonymous => (stand_in.user.as_str(), true),
                    _ => (credentials.user.as_str(), false),
                };
                let known = users.find(name).ok_or(Denied::Credentials)?;
                if !is_stand_in {
                    known.password.check(&credentials.password, &self.env).await?;
                }
                admit(name, known, attempt)
            }
        }
    }
}

/// Whether nothing but users of the system account is configured: plain clients then keep working (AUTH-20).
fn only_system_users(config: &Config) -> bool {
    let system = config.system_account_name();
    config.authorization.is_none()
        && matches!(config.accounts.as_slice(), [only] if system == Some(only.name.as_str()))
}

/// The last check: the kind of connection (AUTH-18, AUTH-19).
fn admit(name: &str, known: &Known, attempt: &LoginAttempt) -> Result<Login, Denied> {
    if !known.admits(attempt.connection_type) {
        return Err(Denied::Credentials);
    }
    Ok(Login {
        user: format!("user:{name}"),
        permissions: known.permissions.clone(),
        ..Login::into_account(known.account.clone())
    })
}
