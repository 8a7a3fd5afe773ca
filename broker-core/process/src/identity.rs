//! Who this server is, new at each start (CORE-14).

use dunlin_api::{Env, ServerIdentity};
use nkeys::{KeyPair, KeyPairType, XKey};

/// Makes a server's keys from the environment's secrets. `name` empty: the id serves as name.
///
/// # Errors
/// The key library refuses the random bytes.
pub fn new_identity(
    env: &Env,
    name: Option<&str>,
    version: &'static str,
) -> Result<ServerIdentity, nkeys::error::Error> {
    let mut seed = [0; 32];
    env.fill_secret(&mut seed);
    let id = KeyPair::new_from_raw(KeyPairType::Server, seed)?.public_key();
    env.fill_secret(&mut seed);
    let xkey = XKey::new_from_raw(seed).public_key();
    Ok(ServerIdentity {
        name: name.filter(|name| !name.is_empty()).unwrap_or(&id).to_owned(),
        id,
        version,
        xkey,
    })
}
