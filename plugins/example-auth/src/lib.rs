//! An auth provider to copy: tokens from its own options, each for one account.
//!
//! ```toml
//! [plugins.auth.example-auth]
//! tokens = ["s3cret:$G", "t0ken:orders"]
//! ```
//!
//! It decides without waiting and keeps nothing about anybody. A provider that asks another system does the same from
//! within `decide`, which may await; the listener limits the time.

use async_trait::async_trait;
use dunlin_api::{
    AccountName, AuthPosture, AuthProvider, Component, Denied, Login, LoginAttempt, Plugin, PluginError,
    Secret, Setup,
};
use dunlin_config::ConfigSection;
use subtle::ConstantTimeEq;

/// The plugin, for the list in `plugins/builtin`.
pub fn plugin() -> Plugin {
    Plugin::auth::<TokenAuth>()
}

/// Options under `[plugins.auth.example-auth]`.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
pub struct TokenOptions {
    /// Who may connect: `token:account`, the account being one that the configuration lists, or `$G`.
    #[config(required, secret)]
    pub tokens: Vec<Secret>,
}

/// Lets in whoever knows a token.
pub struct TokenAuth {
    known: Vec<(Secret, AccountName)>,
}

impl Component for TokenAuth {
    const NAME: &'static str = "example-auth";
    const SUMMARY: &'static str = "tokens from its own options, each for one account (example)";
    type Options = TokenOptions;

    fn open(options: TokenOptions, _: &Setup<'_>) -> Result<Self, PluginError> {
        let known = options.tokens.iter().map(read_entry).collect::<Result<_, _>>()?;
        Ok(Self { known })
    }
}

/// Errors never quote the entry: it holds a secret.
fn read_entry(entry: &Secret) -> Result<(Secret, AccountName), PluginError> {
    let malformed = || PluginError("each of `tokens` is \"token:account\"".to_owned());
    let (token, account) = entry.expose().rsplit_once(':').ok_or_else(malformed)?;
    if token.is_empty() {
        return Err(malformed());
    }
    let account =
        AccountName::new(account).map_err(|error| PluginError(format!("an account in `tokens`: {error}")))?;
    Ok((Secret::new(token), account))
}

#[async_trait]
impl AuthProvider for TokenAuth {
    fn posture(&self) -> AuthPosture {
        AuthPosture::credentials()
    }

    async fn decide(&self, attempt: &LoginAttempt) -> Result<Login, Denied> {
        let given = attempt.credentials.token.expose().as_bytes();
        // Every token is compared, so that time does not tell which one came close.
        let mut found = None;
        for (token, account) in &self.known {
            if bool::from(token.expose().as_bytes().ct_eq(given)) {
                found = Some(account);
            }
        }
        let account = found.ok_or(Denied::Credentials)?;
        Ok(Login {
            user: "token".to_owned(),
            ..Login::into_account(account.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use dunlin_api::ConnectionType;

    use super::*;

    fn provider(tokens: &[&str]) -> Result<TokenAuth, PluginError> {
        let known = tokens
            .iter()
            .map(|entry| read_entry(&Secret::new(*entry)))
            .collect::<Result<_, _>>()?;
        Ok(TokenAuth { known })
    }

    async fn login(provider: &TokenAuth, token: &str) -> Result<String, Denied> {
        let mut attempt = LoginAttempt::anonymous(([127, 0, 0, 1], 1).into(), ConnectionType::Standard);
        attempt.credentials.token = Secret::new(token);
        provider
            .decide(&attempt)
            .await
            .map(|login| login.account.as_str().to_owned())
    }

    #[tokio::test]
    async fn a_token_opens_its_account_and_no_other() {
        let provider = provider(&["s3cret:$G", "a:b:orders"]).unwrap();
        assert_eq!(login(&provider, "s3cret").await, Ok("$G".to_owned()));
        assert_eq!(login(&provider, "a:b").await, Ok("orders".to_owned()));
        for wrong in ["", "s3cre", "s3cret:$G", "orders"] {
            assert_eq!(login(&provider, wrong).await, Err(Denied::Credentials), "{wrong}");
        }
    }

    #[test]
    fn a_malformed_entry_is_refused_without_being_shown() {
        for entry in ["no-account", ":orders", "s3cret:"] {
            let error = provider(&[entry]).err().unwrap().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
