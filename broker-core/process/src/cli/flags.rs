//! The flags, and what they do to a configuration.

use std::slice::Iter;

use dunlin_config::{Authorization, Config, ConfigSection, Secret};

use super::CliError;

/// What the flags say; `None` where a flag is absent, so that an explicit `false` is known (CORE-130).
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the flag of the same name; see USAGE")]
pub struct Flags {
    pub config: Option<String>,
    pub host: Option<String>,
    pub port: Option<i32>,
    pub name: Option<String>,
    pub client_advertise: Option<String>,
    pub pid_file: Option<String>,
    pub ports_file_dir: Option<String>,
    pub log_file: Option<String>,
    pub log_size_limit: Option<u64>,
    pub logtime: Option<bool>,
    pub logtime_utc: Option<bool>,
    pub max_traced_msg_len: Option<u64>,
    pub debug: Option<bool>,
    pub trace: Option<bool>,
    pub trace_verbose: Option<bool>,
    pub user: Option<String>,
    pub pass: Option<Secret>,
    pub auth: Option<Secret>,
    pub signal: Option<String>,
    pub test: bool,
    pub version: bool,
    pub help: bool,
    /// Flags given whose feature this version lacks, and whose neglect would change what the broker does.
    pub unavailable: Vec<(String, &'static str)>,
    /// Flags given that have no effect yet, and do no harm.
    pub without_effect: Vec<String>,
}

impl Flags {
    /// Takes one flag, and its value from `rest` where it needs one.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        rest: &mut Iter<'_, String>,
    ) -> Result<(), CliError> {
        match name {
            "D" | "debug" => self.debug = Some(boolean(name, value)?),
            "V" | "trace" => self.trace = Some(boolean(name, value)?),
            "VV" => (self.trace, self.trace_verbose) = twice(boolean(name, value)?),
            "DV" => (self.debug, self.trace) = twice(boolean(name, value)?),
            "DVV" => {
                (self.debug, self.trace) = twice(boolean(name, value)?);
                self.trace_verbose = self.trace;
            }
            "T" | "logtime" => self.logtime = Some(boolean(name, value)?),
            "logtime_utc" => self.logtime_utc = Some(boolean(name, value)?),
            "t" => self.test = boolean(name, value)?,
            "v" | "version" => self.version = boolean(name, value)?,
            "h" | "help" | "help_tls" => self.help = boolean(name, value)?,
            _ => return self.set_value(name, value, rest),
        }
        Ok(())
    }

    fn set_value(
        &mut self,
        name: &str,
        value: Option<&str>,
        rest: &mut Iter<'_, String>,
    ) -> Result<(), CliError> {
        let mut text = || take(name, value, rest);
        match name {
            "c" | "config" => self.config = Some(text()?),
            "a" | "addr" | "net" => self.host = Some(text()?),
            "p" | "port" => self.port = Some(number(name, &text()?)?),
            "n" | "name" | "server_name" => self.name = Some(text()?),
            "client_advertise" => self.client_advertise = Some(text()?),
            "P" | "pid" => self.pid_file = Some(text()?),
            "ports_file_dir" => self.ports_file_dir = Some(text()?),
            "l" | "log" => self.log_file = Some(text()?),
            "log_size_limit" => self.log_size_limit = Some(number(name, &text()?)?),
            "max_traced_msg_len" => self.max_traced_msg_len = Some(number(name, &text()?)?),
            "user" => self.user = Some(text()?),
            "pass" => self.pass = Some(Secret::new(text()?)),
            "auth" => self.auth = Some(Secret::new(text()?)),
            "sl" | "signal" => self.signal = Some(text()?),
            _ => return self.set_other(name, value, rest),
        }
        Ok(())
    }

    /// Flags of features that are still to come.
    fn set_other(
        &mut self,
        name: &str,
        value: Option<&str>,
        rest: &mut Iter<'_, String>,
    ) -> Result<(), CliError> {
        let feature = match name {
            "js" | "jetstream" | "tls" | "tlsverify" | "s" | "syslog" | "no_advertise" => {
                if !boolean(name, value)? {
                    return Ok(());
                }
                match name {
                    "js" | "jetstream" => Some("JetStream"),
                    "tls" | "tlsverify" => Some("TLS"),
                    "s" | "syslog" => Some("syslog"),
                    _ => None,
                }
            }
            "tlscert" | "tlskey" | "tlscacert" => take(name, value, rest).map(|_| Some("TLS"))?,
            "r" | "remote_syslog" => take(name, value, rest).map(|_| Some("syslog"))?,
            "routes" | "cluster" | "cluster_listen" => take(name, value, rest).map(|_| Some("clustering"))?,
            "sd" | "store_dir" | "cluster_name" | "cluster_advertise" | "connect_retries" | "profile"
            | "m" | "http_port" | "ms" | "https_port" => take(name, value, rest).map(|_| None)?,
            _ => return Err(CliError::UnknownFlag(name.to_owned())),
        };
        match feature {
            Some(feature) => self.unavailable.push((name.to_owned(), feature)),
            None => self.without_effect.push(name.to_owned()),
        }
        Ok(())
    }

    /// Sets what the flags say over what the file says (CORE-130).
    pub fn apply(&self, config: &mut Config) {
        set(&mut config.host, &self.host);
        set(
            &mut config.port,
            &self.port.map(|port| if port == 0 { DEFAULT_PORT } else { port }),
        );
        set_some(&mut config.server_name, &self.name);
        set_some(&mut config.client_advertise, &self.client_advertise);
        set_some(&mut config.pid_file, &self.pid_file);
        set_some(&mut config.ports_file_dir, &self.ports_file_dir);
        set_some(&mut config.log_file, &self.log_file);
        set(&mut config.log_size_limit, &self.log_size_limit);
        set(&mut config.logtime, &self.logtime);
        set(&mut config.logtime_utc, &self.logtime_utc);
        set(&mut config.max_traced_msg_len, &self.max_traced_msg_len);
        set(&mut config.debug, &self.debug);
        set(&mut config.trace, &self.trace);
        set(&mut config.trace_verbose, &self.trace_verbose);
        if self.user.is_some() || self.pass.is_some() || self.auth.is_some() {
            let block = config.authorization.get_or_insert_with(Authorization::defaults);
            set_some(&mut block.user, &self.user);
            set(&mut block.pass, &self.pass);
            set(&mut block.token, &self.auth);
        }
    }
}

/// Where clients are awaited when nothing else is said; port 0 means the same (CORE-1).
const DEFAULT_PORT: i32 = 4222;

fn set<T: Clone>(field: &mut T, flag: &Option<T>) {
    if let Some(value) = flag {
        field.clone_from(value);
    }
}

fn set_some<T: Clone>(field: &mut Option<T>, flag: &Option<T>) {
    if flag.is_some() {
        field.clone_from(flag);
    }
}

fn twice(value: bool) -> (Option<bool>, Option<bool>) {
    (Some(value), Some(value))
}

fn take(name: &str, value: Option<&str>, rest: &mut Iter<'_, String>) -> Result<String, CliError> {
    let value = value.map(str::to_owned).or_else(|| rest.next().cloned());
    value.ok_or_else(|| CliError::MissingValue(name.to_owned()))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, CliError> {
    value.parse().map_err(|_| CliError::BadValue {
        flag: flag.to_owned(),
        value: value.to_owned(),
    })
}

/// Go's spellings.
fn boolean(flag: &str, value: Option<&str>) -> Result<bool, CliError> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(CliError::BadBoolean {
            flag: flag.to_owned(),
            value: value.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-130 [TestMergeOverrides]
    #[test]
    fn flags_win_over_the_file_and_false_counts() {
        let mut config = Config {
            debug: true,
            port: 1,
            host: "file".into(),
            ..Config::default()
        };
        let flags = Flags {
            debug: Some(false),
            port: Some(2),
            ..Flags::default()
        };
        flags.apply(&mut config);
        assert_eq!(
            (config.debug, config.port, config.host.as_str()),
            (false, 2, "file")
        );
    }

    #[test]
    fn user_and_password_make_an_authorization() {
        let mut config = Config::default();
        let flags = Flags {
            user: Some("joe".into()),
            pass: Some(Secret::new("x")),
            ..Flags::default()
        };
        flags.apply(&mut config);
        let block = config.authorization.unwrap();
        assert_eq!((block.user.as_deref(), block.pass.expose()), (Some("joe"), "x"));
    }
}
