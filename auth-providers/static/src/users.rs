//! The configured users, by name.

use std::collections::HashMap;
use std::sync::Arc;

use dunlin_api::config::{self, Config};
use dunlin_api::{AccountName, ConnectionType, Permissions, Rng, Secret};

use crate::password::Password;

/// Random letters in the name of the hidden user.
const HIDDEN_LETTERS: usize = 8;

/// Users of all accounts; names are unique over the whole configuration (AUTH-6).
#[derive(Default)]
pub(crate) struct Users(HashMap<String, Known>);

/// One user.
pub(crate) struct Known {
    pub(crate) password: Password,
    pub(crate) account: AccountName,
    pub(crate) permissions: Option<Arc<Permissions>>,
    connection_types: Vec<config::ConnectionType>,
}

impl Users {
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        let mut users = Self::default();
        if let Some(block) = &config.authorization {
            if let Some(name) = &block.user {
                users.add(name, &block.pass, AccountName::global(), None, &[]);
            }
            for user in block.users.iter().flatten() {
                users.add_user(user, AccountName::global());
            }
        }
        for account in &config.accounts {
            let name = AccountName::new(&account.name)
                .map_err(|error| format!("account {:?}: {error}", account.name))?;
            for user in &account.users {
                users.add_user(user, name.clone());
            }
        }
        Ok(users)
    }

    fn add_user(&mut self, user: &config::User, account: AccountName) {
        let permissions = user.permissions.clone().map(Arc::new);
        self.add(
            &user.user,
            &user.pass,
            account,
            permissions,
            &user.allowed_connection_types,
        );
    }

    fn add(
        &mut self,
        name: &str,
        password: &Secret,
        account: AccountName,
        permissions: Option<Arc<Permissions>>,
        connection_types: &[config::ConnectionType],
    ) {
        let known = Known {
            password: Password::new(password),
            account,
            permissions,
            connection_types: connection_types.to_vec(),
        };
        self.0.insert(name.to_owned(), known);
    }

    /// Adds the user that stands in when only system users are configured (AUTH-20); returns its name.
    pub(crate) fn add_hidden(&mut self, rng: &mut Rng) -> String {
        let name: String = (0..HIDDEN_LETTERS).map(|_| char::from(letter(rng))).collect();
        let name = format!("nats-{name}");
        self.add(&name, &Secret::default(), AccountName::global(), None, &[]);
        name
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Known> {
        self.0.get(name)
    }
}

impl Known {
    /// An empty list admits all (AUTH-18); a plugin's protocol needs one.
    pub(crate) fn admits(&self, kind: ConnectionType) -> bool {
        use config::ConnectionType as Listed;
        let listed = match kind {
            ConnectionType::Standard => Listed::Standard,
            ConnectionType::Websocket => Listed::Websocket,
            ConnectionType::Leafnode => Listed::Leafnode,
            ConnectionType::LeafnodeWebsocket => Listed::LeafnodeWs,
            ConnectionType::Mqtt => Listed::Mqtt,
            ConnectionType::MqttWebsocket => Listed::MqttWs,
            ConnectionType::InProcess => Listed::InProcess,
            _ => return self.connection_types.is_empty(),
        };
        self.connection_types.is_empty() || self.connection_types.contains(&listed)
    }
}

/// One of the 62 letters and digits.
fn letter(rng: &mut Rng) -> u8 {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    LETTERS.get(rng.below(62) as usize).copied().unwrap_or(b'0')
}
