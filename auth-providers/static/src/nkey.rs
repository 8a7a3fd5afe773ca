//! Signatures of the nonce: by users with an nkey, and by trusted proxies.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dunlin_api::config::Config;
use dunlin_api::{Denied, Secret};
use nkeys::KeyPair;

/// Whether `signature` is of `nonce` by the holder of the public key `nkey` (AUTH-3). Takes some 50 microseconds.
pub(crate) fn is_signed(nkey: &str, nonce: &str, signature: &Secret) -> bool {
    let text = signature.expose();
    let Ok(signature) = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)) else {
        return false;
    };
    KeyPair::from_public_key(nkey).is_ok_and(|key| verifies(&key, nonce, &signature))
}

/// The proxies that may vouch for connections (AUTH-1400).
pub(crate) struct TrustedProxies(Vec<(Arc<str>, KeyPair)>);

impl TrustedProxies {
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        let trusted = config.proxies.iter().flat_map(|proxies| &proxies.trusted);
        let keys = trusted.map(|proxy| {
            let key = KeyPair::from_public_key(&proxy.key)
                .map_err(|error| format!("proxy trusted key {:?}: {error}", proxy.key))?;
            Ok((Arc::from(proxy.key.as_str()), key))
        });
        keys.collect::<Result<_, String>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The proxy that has signed `nonce`; none if none has, or if nobody is trusted and the signature counts nothing.
    pub(crate) fn signer(&self, nonce: &str, signature: &Secret) -> Result<Option<Arc<str>>, Denied> {
        if signature.is_empty() || self.is_empty() {
            return Ok(None);
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature.expose())
            .map_err(|_| Denied::ProxyNotTrusted)?;
        let signer = self.0.iter().find(|(_, key)| verifies(key, nonce, &signature));
        let (name, _) = signer.ok_or(Denied::ProxyNotTrusted)?;
        Ok(Some(name.clone()))
    }

    /// Whether the proxy with this public key is still trusted.
    pub(crate) fn trusts(&self, proxy: &str) -> bool {
        self.0.iter().any(|(name, _)| **name == *proxy)
    }
}

fn verifies(key: &KeyPair, nonce: &str, signature: &[u8]) -> bool {
    // Where no nonce was sent, there is nothing that a signature could prove.
    !nonce.is_empty() && key.verify(nonce.as_bytes(), signature).is_ok()
}
