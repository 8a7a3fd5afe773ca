//! What a connection says about itself, at its login or at a later decision.

use std::sync::Arc;

use dunlin_api::{ConnectionType, Env, Evidence, LoginAttempt, Secret, TlsPeer};

use crate::nkey;
use crate::password::{Kept, Password, Shown};

/// The input of a decision, whether the secrets are at hand or only what was kept of them.
pub(crate) struct Claims<'a> {
    pub(crate) kind: ConnectionType,
    pub(crate) user: &'a str,
    pub(crate) nkey: &'a str,
    pub(crate) password: Shown<'a>,
    pub(crate) token: Shown<'a>,
    pub(crate) signature: Signature<'a>,
    /// The trusted proxy that vouches for it.
    pub(crate) proxy: Option<Arc<str>>,
    pub(crate) tls: Option<&'a Arc<TlsPeer>>,
}

/// Whether the peer holds the seed of its nkey.
#[derive(Clone, Copy)]
pub(crate) enum Signature<'a> {
    /// To be verified.
    Of { nonce: &'a str, signature: &'a Secret },
    /// It was, when the session began.
    Verified(bool),
}

/// The secret that a decision rested on.
pub(crate) enum Matched {
    Nothing,
    Password(Arc<Password>),
    Token(Arc<Password>),
    Signature,
}

/// Claims as a session keeps them: without secrets.
pub(crate) struct KeptClaims {
    kind: ConnectionType,
    user: Box<str>,
    nkey: Box<str>,
    /// Boxed, as most connections have none.
    password: Option<Box<Kept>>,
    token: Option<Box<Kept>>,
    is_signed: bool,
    proxy: Option<Arc<str>>,
    tls: Option<Arc<TlsPeer>>,
}

impl<'a> Claims<'a> {
    pub(crate) fn of(attempt: &'a LoginAttempt, proxy: Option<Arc<str>>) -> Self {
        let credentials = &attempt.credentials;
        Self {
            kind: attempt.connection_type,
            user: &credentials.user,
            nkey: &credentials.nkey,
            password: Shown::Now(&credentials.password),
            token: Shown::Now(&credentials.token),
            signature: Signature::Of {
                nonce: &attempt.nonce,
                signature: &credentials.signature,
            },
            proxy,
            tls: attempt.tls.as_ref(),
        }
    }

    /// Whether CONNECT gave nothing that a user could be known by (AUTH-13).
    pub(crate) fn is_anonymous(&self) -> bool {
        self.user.is_empty() && self.password.is_empty() && self.token.is_empty()
    }

    /// What to keep for a later decision, after one that rested on `matched`.
    pub(crate) fn keep(&self, matched: Matched, env: &Env) -> Evidence {
        let is_signed = matches!(matched, Matched::Signature);
        let (password, token) = match matched {
            Matched::Password(password) => (Some(password), None),
            Matched::Token(token) => (None, Some(token)),
            Matched::Nothing | Matched::Signature => (None, None),
        };
        Evidence::new(KeptClaims {
            kind: self.kind,
            user: self.user.into(),
            nkey: self.nkey.into(),
            password: self.password.keep(password, env).map(Box::new),
            token: self.token.keep(token, env).map(Box::new),
            is_signed,
            proxy: self.proxy.clone(),
            tls: self.tls.cloned(),
        })
    }
}

impl KeptClaims {
    pub(crate) fn proxy(&self) -> Option<&Arc<str>> {
        self.proxy.as_ref()
    }

    pub(crate) fn claims(&self) -> Claims<'_> {
        Claims {
            kind: self.kind,
            user: &self.user,
            nkey: &self.nkey,
            password: Shown::Before(self.password.as_deref()),
            token: Shown::Before(self.token.as_deref()),
            signature: Signature::Verified(self.is_signed),
            proxy: self.proxy.clone(),
            tls: self.tls.as_ref(),
        }
    }
}

impl Signature<'_> {
    /// Whether the nonce was signed by the holder of `nkey`'s seed.
    pub(crate) fn is_by(self, nkey: &str) -> bool {
        match self {
            Self::Of { nonce, signature } => nkey::is_signed(nkey, nonce, signature),
            Self::Verified(is_signed) => is_signed,
        }
    }
}
