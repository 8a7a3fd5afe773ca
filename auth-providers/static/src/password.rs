//! Configured secrets, what peers show against them, and what is kept of it.

use std::sync::{Arc, OnceLock};

use dunlin_api::{Denied, Env, Secret};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// A configured password or token: plain, or bcrypt (AUTH-10).
pub(crate) struct Password {
    secret: Secret,
    is_bcrypt: bool,
    /// The plain text of an earlier configuration that this hash turned out to be of, so that a reload finds it out
    /// once and not for every session.
    former: OnceLock<Arc<Self>>,
}

/// A secret as the peer shows it, or what was kept of one that it showed before.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// At a login.
    Now(&'a Secret),
    /// At the login that is decided again; `None`: it showed none.
    Before(Option<&'a Kept>),
}

/// Enough to know a secret again, too little to learn it.
pub(crate) struct Kept {
    salt: [u8; 16],
    digest: [u8; 32],
    /// The configured secret that it was found equal to.
    matched: Option<Arc<Password>>,
}

/// Where bcrypt runs: off the shards, as many at once as there are shards. Others wait in the order they came, for
/// as long as their listener lets a login take; whoever gives up waiting costs nothing more.
pub(crate) struct Bench {
    env: Env,
    places: Arc<Semaphore>,
}

impl Password {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self {
            is_bcrypt: secret.is_bcrypt(),
            secret: secret.clone(),
            former: OnceLock::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.secret.is_empty()
    }

    /// Compares without telling by its time how much was right.
    pub(crate) async fn check(&self, shown: Shown<'_>, bench: &Bench) -> Result<(), Denied> {
        let is_right = match shown {
            Shown::Now(given) if self.is_bcrypt => bench.verify(given, &self.secret).await,
            Shown::Now(given) => equal(given.expose(), self.secret.expose()),
            Shown::Before(Some(kept)) => self.is_still(kept, bench).await,
            Shown::Before(None) => self.secret.is_empty(),
        };
        if is_right {
            Ok(())
        } else {
            Err(Denied::Credentials)
        }
    }

    /// Whether a secret shown before is the one configured now. From one bcrypt hash to another nobody can tell.
    async fn is_still(&self, kept: &Kept, bench: &Bench) -> bool {
        if !self.is_bcrypt {
            return kept.digest.ct_eq(&digest(&kept.salt, &self.secret)).into();
        }
        match &kept.matched {
            Some(before) if before.is_bcrypt => equal(before.secret.expose(), self.secret.expose()),
            Some(before)
                if self
                    .former
                    .get()
                    .is_some_and(|former| Arc::ptr_eq(former, before)) =>
            {
                true
            }
            Some(before) => {
                let is_right = bench.verify(&before.secret, &self.secret).await;
                if is_right {
                    // Another session may have been first, with the same or with another former text.
                    let _ = self.former.set(before.clone());
                }
                is_right
            }
            None => false,
        }
    }
}

impl Shown<'_> {
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Now(secret) => secret.is_empty(),
            Self::Before(kept) => kept.is_none(),
        }
    }

    /// What to keep of the secret, which was found equal to `matched` if to anything; of an empty one nothing.
    pub(crate) fn keep(self, matched: Option<Arc<Password>>, env: &Env) -> Option<Kept> {
        match self {
            Self::Now(secret) if secret.is_empty() => None,
            Self::Now(secret) => {
                let mut salt = [0; 16];
                env.fill_secret(&mut salt);
                Some(Kept {
                    digest: digest(&salt, secret),
                    salt,
                    matched,
                })
            }
            Self::Before(kept) => kept.map(|kept| Kept { matched, ..*kept }),
        }
    }
}

impl Bench {
    pub(crate) fn new(env: &Env) -> Self {
        Self {
            places: Arc::new(Semaphore::new(env.shards().len().max(1))),
            env: env.clone(),
        }
    }

    async fn verify(&self, given: &Secret, hash: &Secret) -> bool {
        let Ok(place) = self.places.clone().acquire_owned().await else {
            return false;
        };
        let (given, hash) = (given.clone(), hash.clone());
        let verify = move || {
            let is_right = bcrypt::verify(given.expose(), hash.expose()).unwrap_or(false);
            // With the work, not with its waiter: who gives up waiting must not free a place that is in use.
            drop(place);
            is_right
        };
        self.env.offload(verify).await.unwrap_or(false)
    }
}

fn equal(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

fn digest(salt: &[u8; 16], secret: &Secret) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(secret.expose().as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    // AUTH-10 [TestGoodBcryptPassword, TestBadBcryptPassword]: only the full form counts as bcrypt.
    #[test]
    fn bcrypt_is_told_from_plain_text() {
        let is_bcrypt = |text: &str| Secret::new(text).is_bcrypt();
        assert!(is_bcrypt(
            "$2a$10$UHR6GhotWhpLsKtVP0/i6.Nh9.fuY73cWjLoJjb2sKT8KISBcUW5q"
        ));
        assert!(is_bcrypt("$2y$04$x"));
        for plain in ["", "$2a$", "$2c$10$x", "$2a$1x$x", "2a$10$x", "secret"] {
            assert!(!is_bcrypt(plain), "{plain}");
        }
    }
}
