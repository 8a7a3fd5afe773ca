//! Checks over several options that run at start and at reload, not at `-t` (CORE-127).

use std::time::Duration;

use super::Config;
use crate::text::print_duration;

/// The first check that fails; `Display` is the reference's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The lame duck would close its first connection after its last.
    #[error(
        "lame duck grace period ({}) should be strictly lower than lame duck duration ({})",
        shown(.grace), shown(.duration)
    )]
    LameDuck {
        /// Time before the first connection is closed.
        grace: Duration,
        /// Time until all are closed.
        duration: Duration,
    },
    /// A message could be larger than what may wait for a connection.
    #[error("max_payload ({payload}) cannot be higher than max_pending ({pending})")]
    PayloadAbovePending {
        /// Bytes of the largest message.
        payload: i32,
        /// Bytes that may wait.
        pending: u64,
    },
    /// Only reached when the name comes from a flag.
    #[error("server name cannot contain spaces")]
    ServerNameWithSpaces,
    /// A block of several keys is wrong as a whole; the reference's text.
    #[error("{0}")]
    Block(String),
    /// `no_auth_user` is set and there are no users at all.
    #[error("no_auth_user: \"{0}\" present, but users/nkeys are not defined")]
    NoAuthUserWithoutUsers(String),
    /// `no_auth_user` names nobody.
    #[error(
        "no_auth_user: \"{0}\" not present as user or nkey in authorization block or account configuration"
    )]
    NoAuthUserUnknown(String),
}

impl Config {
    /// Runs the checks in the reference's order and stops at the first failure. Call it once flags are applied.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let (grace, duration) = (self.lame_duck_grace_period, self.lame_duck_duration);
        if !duration.is_zero() && grace >= duration {
            return Err(ConfigError::LameDuck { grace, duration });
        }
        if u64::try_from(self.max_payload).is_ok_and(|payload| payload > self.max_pending) {
            return Err(ConfigError::PayloadAbovePending {
                payload: self.max_payload,
                pending: self.max_pending,
            });
        }
        if self.server_name.as_ref().is_some_and(|name| name.contains(' ')) {
            return Err(ConfigError::ServerNameWithSpaces);
        }
        self.check_operators()?;
        self.check_leafnodes()?;
        self.check_no_auth_user(self.no_auth_user.as_deref().unwrap_or_default())?;
        self.check_proxies()?;
        self.check_gateway()?;
        self.check_cluster()?;
        self.check_mqtt()?;
        self.check_jetstream()?;
        self.check_websocket()?;
        self.check_monitoring()
    }

    /// AUTH-13: the user that stands in for nobody exists; empty is none.
    pub(super) fn check_no_auth_user(&self, name: &str) -> Result<(), ConfigError> {
        if name.is_empty() {
            return Ok(());
        }
        let known = |name: &str| self.users().any(|(_, user)| user.identity() == name);
        if self.users().next().is_none() {
            Err(ConfigError::NoAuthUserWithoutUsers(name.to_owned()))
        } else if known(name) {
            Ok(())
        } else {
            Err(ConfigError::NoAuthUserUnknown(name.to_owned()))
        }
    }
}

fn shown(duration: &Duration) -> String {
    print_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
