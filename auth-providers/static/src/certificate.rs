//! Users whom a certificate names, on listeners with `verify_and_map` (AUTH-103, AUTH-104, AUTH-308, AUTH-309).

use dunlin_api::config::{Config, ConnectionType as Listed, TlsOptions};
use dunlin_api::{ConnectionType, DistinguishedName, TlsPeer};

use crate::users::{User, Users};

/// The listeners that map certificates to users.
#[derive(Clone, Copy, Default)]
pub(crate) struct MappingListeners {
    clients: bool,
    websocket: bool,
    mqtt: bool,
    leafnodes: bool,
    /// Whether leafnodes are held against the users at all: their block may have its own.
    leafnodes_share_users: bool,
    /// Whether MQTT and leafnodes over WebSocket show a certificate.
    websocket_asks: bool,
}

impl MappingListeners {
    pub(crate) fn of(config: &Config) -> Self {
        let maps = |tls: Option<&TlsOptions>| tls.is_some_and(|tls| tls.verify_and_map);
        let websocket = config.websocket.as_ref().filter(|block| block.port != 0);
        let mqtt = config.mqtt.as_ref().filter(|block| block.port != 0);
        let leafnodes = config.leafnodes.as_ref().filter(|block| block.port != 0);
        let websocket_tls = websocket.and_then(|block| block.tls.as_ref());
        Self {
            clients: maps(config.tls.as_ref()),
            websocket: maps(websocket_tls),
            mqtt: maps(mqtt.and_then(|block| block.tls.as_ref())),
            leafnodes: maps(leafnodes.and_then(|block| block.tls.as_ref())),
            leafnodes_share_users: leafnodes.is_some_and(|block| {
                let own = &block.authorization;
                own.user.is_empty() && own.nkey.is_none() && own.users.is_empty()
            }),
            websocket_asks: websocket_tls.is_some_and(|tls| tls.verify || tls.verify_and_map),
        }
    }

    /// Whether the certificate names the user on connections of this kind, whatever CONNECT says.
    pub(crate) fn maps(self, kind: ConnectionType) -> bool {
        match kind {
            ConnectionType::Standard | ConnectionType::InProcess => self.clients,
            ConnectionType::Websocket => self.websocket,
            ConnectionType::Mqtt | ConnectionType::MqttWebsocket => self.mqtt,
            ConnectionType::Leafnode | ConnectionType::LeafnodeWebsocket => self.leafnodes,
            _ => false,
        }
    }

    /// Whether some listener could map a certificate to `user`. Without a password such a user is known by its
    /// certificate alone (AUTH-104).
    pub(crate) fn may_name(self, user: &User) -> bool {
        let leafnodes = self.leafnodes && self.leafnodes_share_users;
        (self.clients && user.lists(Listed::Standard))
            || (self.websocket && user.lists(Listed::Websocket))
            || (self.mqtt
                && (user.lists(Listed::Mqtt) || (self.websocket_asks && user.lists(Listed::MqttWs))))
            || (leafnodes
                && (user.lists(Listed::Leafnode) || (self.websocket_asks && user.lists(Listed::LeafnodeWs))))
    }
}

/// The users whose names are distinguished names, read once (AUTH-1701).
#[derive(Default)]
pub(crate) struct DnUsers(Vec<(DistinguishedName, String)>);

impl DnUsers {
    /// A name that is none is skipped (AUTH-310). So is one without parts, such as `x=`: it would be that of every
    /// certificate without a subject.
    pub(crate) fn add(&mut self, name: &str) {
        match DistinguishedName::parse(name) {
            Ok(dn) if !dn.is_empty() => self.0.push((dn, name.to_owned())),
            _ => {}
        }
    }

    /// The names of users with the same parts as `subject`: those in the same order first, each in the configured order.
    fn of<'a>(&'a self, subject: &'a DistinguishedName) -> impl Iterator<Item = &'a str> {
        let same = self.0.iter().filter(|(dn, _)| dn.is_same(subject));
        let any_order = self.0.iter().filter(|(dn, _)| dn.has_same_parts(subject));
        same.chain(any_order).map(|(_, name)| name.as_str())
    }
}

/// The user whom the peer's certificate names: the first of its names that a user of this kind of connection has, in
/// the order of AUTH-308.
pub(crate) fn user<'a>(users: &'a Users, tls: &TlsPeer, kind: ConnectionType) -> Option<&'a User> {
    let names = &tls.names;
    let find = |name: &str| users.named(name).filter(|user| user.takes(kind));
    let by_alternative = || {
        let names = names.emails.iter().chain(&names.dns).chain(&names.uris);
        names.filter(|name| !name.is_empty()).find_map(|name| find(name))
    };
    let by_dn = || {
        names
            .subject
            .as_ref()
            .and_then(|subject| users.by_dn().of(subject).find_map(find))
    };
    let by_text = || {
        let with_domain = format!("{},{}", names.subject_text, names.domain_components);
        let with_domain = (!names.domain_components.is_empty()).then_some(with_domain);
        let texts = with_domain.into_iter().chain([names.subject_text.clone()]);
        texts.filter(|text| !text.is_empty()).find_map(|text| find(&text))
    };
    by_alternative().or_else(by_dn).or_else(by_text)
}
