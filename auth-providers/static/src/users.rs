//! The configured users, by name and by nkey.

use std::collections::HashMap;
use std::sync::Arc;

use dunlin_api::config::{self, Config};
use dunlin_api::{AccountName, ConnectionType, Denied, Permissions, Rng, Secret};

use crate::certificate::{DnUsers, MappingListeners};
use crate::password::Password;

/// Random letters in the name of the hidden user.
const HIDDEN_LETTERS: usize = 8;

/// Users of all accounts; names and nkeys are unique over the whole configuration (AUTH-6).
#[derive(Default)]
pub(crate) struct Users {
    named: HashMap<String, User>,
    keyed: HashMap<String, User>,
    by_dn: DnUsers,
}

/// One user.
pub(crate) struct User {
    /// Name or public nkey.
    pub(crate) identity: String,
    /// Empty for one with an nkey.
    pub(crate) password: Arc<Password>,
    pub(crate) account: AccountName,
    pub(crate) permissions: Option<Arc<Permissions>>,
    connection_types: Vec<config::ConnectionType>,
    /// Only a trusted proxy may bring it (AUTH-1400).
    pub(crate) proxy_required: bool,
    /// Known by its certificate alone (AUTH-104).
    pub(crate) needs_certificate: bool,
}

impl Users {
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        let mut users = Self::default();
        if let Some(block) = &config.authorization {
            if let Some(name) = &block.user {
                users.add_named(User {
                    proxy_required: block.proxy_required,
                    ..User::unrestricted(name, &block.pass, AccountName::global())
                });
            }
            for user in block.users.iter().flatten() {
                users.add(user, AccountName::global());
            }
        }
        for account in &config.accounts {
            let name = AccountName::new(&account.name)
                .map_err(|error| format!("account {:?}: {error}", account.name))?;
            for user in &account.users {
                users.add(user, name.clone());
            }
        }
        let mapping = MappingListeners::of(config);
        let stand_in = config.no_auth_user.as_deref();
        for user in users.named.values_mut() {
            user.needs_certificate = user.password.is_empty()
                && stand_in != Some(user.identity.as_str())
                && mapping.may_name(user);
        }
        Ok(users)
    }

    fn add(&mut self, user: &config::User, account: AccountName) {
        let known = User {
            permissions: user.permissions.clone().map(Arc::new),
            connection_types: user.allowed_connection_types.clone(),
            proxy_required: user.proxy_required,
            ..User::unrestricted(user.identity(), &user.pass, account)
        };
        match user.nkey {
            Some(_) => {
                self.keyed.insert(known.identity.clone(), known);
            }
            None => self.add_named(known),
        }
    }

    fn add_named(&mut self, user: User) {
        self.by_dn.add(&user.identity);
        self.named.insert(user.identity.clone(), user);
    }

    /// Adds the user that stands in when only system users are configured (AUTH-20); returns its name.
    pub(crate) fn add_hidden(&mut self, rng: &mut Rng) -> String {
        let name: String = (0..HIDDEN_LETTERS).map(|_| char::from(letter(rng))).collect();
        let name = format!("nats-{name}");
        self.add_named(User::unrestricted(
            &name,
            &Secret::default(),
            AccountName::global(),
        ));
        name
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.keyed.is_empty()
    }

    /// Whether there are users who sign a nonce.
    pub(crate) fn has_nkeys(&self) -> bool {
        !self.keyed.is_empty()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&User> {
        self.named.get(name)
    }

    /// Users by distinguished names.
    pub(crate) fn by_dn(&self) -> &DnUsers {
        &self.by_dn
    }

    pub(crate) fn keyed(&self, nkey: &str) -> Option<&User> {
        self.keyed.get(nkey)
    }
}

impl User {
    fn unrestricted(identity: &str, password: &Secret, account: AccountName) -> Self {
        Self {
            identity: identity.to_owned(),
            password: Arc::new(Password::new(password)),
            account,
            permissions: None,
            connection_types: Vec::new(),
            proxy_required: false,
            needs_certificate: false,
        }
    }

    /// The checks that need no secret: the kind of connection (AUTH-18, AUTH-19), then the proxy (AUTH-1400).
    pub(crate) fn admit(&self, kind: ConnectionType, proxy: Option<&Arc<str>>) -> Result<(), Denied> {
        if !self.takes(kind) {
            Err(Denied::Credentials)
        } else if self.proxy_required && proxy.is_none() {
            Err(Denied::ProxyRequired)
        } else {
            Ok(())
        }
    }

    /// A plugin's protocol is in no list (AUTH-18).
    pub(crate) fn takes(&self, kind: ConnectionType) -> bool {
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
        self.lists(listed)
    }

    /// Whether connections of this kind are taken: an empty list takes all (AUTH-18).
    pub(crate) fn lists(&self, kind: config::ConnectionType) -> bool {
        self.connection_types.is_empty() || self.connection_types.contains(&kind)
    }
}

/// One of the 62 letters and digits.
fn letter(rng: &mut Rng) -> u8 {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    LETTERS.get(rng.below(62) as usize).copied().unwrap_or(b'0')
}
