//! What the flags do to a configuration: they win over the file (CORE-130).

use dunlin_config::{Authorization, Config, ConfigSection, LogFormat};

use super::{CliError, Flags};

/// Where a broker listens when nothing else is said (CORE section 15).
const DEFAULT_HOST: &str = "0.0.0.0";
const DEFAULT_PORT: i32 = 4222;

impl Flags {
    /// Sets what the flags say over what the file says. An explicit `false`, zero or empty value counts: it gives back
    /// the default. Call [`Config::validate`] afterwards.
    ///
    /// # Errors
    /// Credentials that do not go together with the file's, so that the outcome would be a surprise.
    pub fn apply(&self, config: &mut Config) -> Result<(), CliError> {
        self.apply_address(config);
        self.apply_log(config);
        self.apply_levels(config);
        set_text(&mut config.server_name, &self.name);
        set_text(&mut config.client_advertise, &self.client_advertise);
        set_text(&mut config.pid_file, &self.pid_file);
        set_text(&mut config.ports_file_dir, &self.ports_file_dir);
        self.apply_blocks(config)?;
        self.apply_credentials(config)
    }

    fn apply_address(&self, config: &mut Config) {
        if let Some(host) = &self.host {
            let host = if host.is_empty() { DEFAULT_HOST } else { host };
            config.host = host.to_owned();
        }
        if let Some(port) = self.port {
            // `check` has seen that it is a port.
            config.port = i32::try_from(port)
                .ok()
                .filter(|port| *port != 0)
                .unwrap_or(DEFAULT_PORT);
        }
    }

    fn apply_log(&self, config: &mut Config) {
        set_text(&mut config.log_file, &self.log_file);
        set(
            &mut config.log_size_limit,
            self.log_size_limit.map(unless_negative),
        );
        // `check` has seen that it names one.
        set(
            &mut config.log_format,
            self.log_format.as_deref().and_then(LogFormat::named),
        );
        set(&mut config.syslog, self.syslog);
        set_text(&mut config.remote_syslog, &self.remote_syslog);
        set(&mut config.logtime, self.logtime);
        set(&mut config.logtime_utc, self.logtime_utc);
        set(
            &mut config.max_traced_msg_len,
            self.max_traced_msg_len.map(unless_negative),
        );
    }

    /// Combined flags win over single ones, wherever they stand, and the more verbose one last.
    fn apply_levels(&self, config: &mut Config) {
        set(&mut config.debug, self.debug);
        set(&mut config.trace, self.trace);
        if let Some(on) = self.debug_and_trace {
            (config.debug, config.trace) = (on, on);
        }
        if let Some(on) = self.debug_and_verbose_trace {
            (config.debug, config.trace, config.trace_verbose) = (on, on, on);
        }
        if let Some(on) = self.verbose_trace {
            (config.trace, config.trace_verbose) = (on, on);
        }
    }

    fn apply_credentials(&self, config: &mut Config) -> Result<(), CliError> {
        if self.user.is_none() && self.pass.is_none() && self.auth.is_none() {
            return Ok(());
        }
        let has_account_users = config.accounts.iter().any(|account| !account.users.is_empty());
        let block = config.authorization.get_or_insert_with(Authorization::defaults);
        set_text(&mut block.user, &self.user);
        set(&mut block.pass, self.pass.clone());
        set(&mut block.token, self.auth.clone());
        let (single, token) = (block.user.is_some(), !block.token.is_empty());
        let has_users = block.users.is_some();
        if !single && !block.pass.is_empty() {
            return Err(CliError::PasswordWithoutUser);
        }
        // AUTH-6, in its order.
        let conflict = match (single, token) {
            (true, true) => "Cannot have a user/pass and token",
            (true, _) if has_users => "Can not have a single user/pass and a users array",
            (_, true) if has_users => "Can not have a token and a users array",
            (true, _) if has_account_users => "Can not have a single user/pass and accounts",
            (_, true) if has_account_users => "Can not have a token and accounts",
            _ => return Ok(()),
        };
        Err(CliError::Credentials(conflict))
    }
}

fn set<T>(field: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *field = value;
    }
}

fn set_text(field: &mut Option<String>, flag: &Option<String>) {
    if let Some(text) = flag {
        *field = Some(text.clone()).filter(|text| !text.is_empty());
    }
}

/// Negative limits mean none, as zero does.
fn unless_negative(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(0)
}
