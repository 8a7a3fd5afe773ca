//! Configured secrets and their comparison.

use dunlin_api::{Denied, Env, Secret};
use subtle::ConstantTimeEq;

/// A configured password or token: plain, or bcrypt (AUTH-10).
pub(crate) struct Password {
    secret: Secret,
    is_bcrypt: bool,
}

impl Password {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self {
            is_bcrypt: secret.is_bcrypt(),
            secret: secret.clone(),
        }
    }

    /// Compares without telling by its time how much was right; bcrypt runs off the shard.
    pub(crate) async fn check(&self, given: &Secret, env: &Env) -> Result<(), Denied> {
        let is_right = if self.is_bcrypt {
            let (hash, given) = (self.secret.clone(), given.clone());
            let verify = move || bcrypt::verify(given.expose(), hash.expose()).unwrap_or(false);
            env.offload(verify).await.unwrap_or(false)
        } else {
            self.secret
                .expose()
                .as_bytes()
                .ct_eq(given.expose().as_bytes())
                .into()
        };
        if is_right {
            Ok(())
        } else {
            Err(Denied::Credentials)
        }
    }
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
