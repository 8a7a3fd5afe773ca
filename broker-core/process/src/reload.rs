//! What a reload means for the process: its configuration is read again, its log and its files move (CORE-132, CORE-135,
//! CORE-138).
//!
//! The flags of the command line win over the file as at the start, all of them (CORE-P2).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dunlin_api::{Disk, Endpoint, Logger, ReloadHost, SystemDisk};
use dunlin_config::reload::Plan;
use dunlin_config::{Config, LoadError, Loaded, Severity, Source};

use crate::cli::Flags;
use crate::files::{PortsFile, write_pid_file};
use crate::log::{LineFormat, Log, LogChange, Target};

/// Keys that decide where lines go, and which.
const LOG_KEYS: [&str; 8] = [
    "debug",
    "trace",
    "logtime",
    "logtime_utc",
    "log_file",
    "log_format",
    "syslog",
    "remote_syslog",
];

/// Why a configuration that was read again cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unusable {
    /// The reference's text, without a line end.
    pub reason: String,
    /// What can be done about it, each with its place.
    pub remedies: Vec<String>,
}

impl From<&str> for Unusable {
    fn from(reason: &str) -> Self {
        let (reason, remedies) = (reason.to_owned(), Vec::new());
        Self { reason, remedies }
    }
}

impl Unusable {
    fn of(error: &LoadError) -> Self {
        let findings = match error {
            LoadError::Invalid(report) => report.findings(),
            _ => Vec::new(),
        };
        let remedies = findings.iter().filter_map(|finding| {
            let (remedy, position) = (finding.remedy.as_ref()?, finding.position.as_ref()?);
            Some(format!("{position}: {remedy}"))
        });
        Self {
            reason: error.to_string().trim_end().to_owned(),
            remedies: remedies.collect(),
        }
    }
}

/// Log and files of a process whose broker is up.
pub struct Takeover<'a> {
    flags: &'a Flags,
    source: &'a (dyn Source + Sync),
    log: &'a Log,
    logger: Logger,
    disk: Arc<dyn Disk>,
    endpoints: Vec<(Endpoint, SocketAddr)>,
    ports_file: Option<PortsFile>,
    prepared: Option<LogChange>,
}

impl<'a> Takeover<'a> {
    /// Writes the ports file, where `config` wants one. A broker that cannot write it serves all the same.
    pub fn begin(
        flags: &'a Flags,
        source: &'a (dyn Source + Sync),
        log: &'a Log,
        logger: &Logger,
        endpoints: Vec<(Endpoint, SocketAddr)>,
        config: &Config,
    ) -> Self {
        let mut takeover = Self {
            flags,
            source,
            log,
            logger: logger.clone(),
            disk: Arc::new(SystemDisk),
            endpoints,
            ports_file: None,
            prepared: None,
        };
        takeover.write_ports_file(config);
        takeover
    }

    /// Reads the configuration again, applies the flags, and checks it. What only deserves a word is logged.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn read(&self) -> Result<Loaded, Unusable> {
        let path = self.flags.config.as_deref();
        let path = path.ok_or("can only reload config when a file is provided using -c or --config")?;
        let mut loaded = Config::load(path, self.source).map_err(|error| Unusable::of(&error))?;
        self.flags
            .apply(&mut loaded.config)
            .map_err(|error| Unusable::from(&*error.to_string()))?;
        let valid = loaded.config.validate();
        valid.map_err(|error| Unusable::from(&*error.to_string()))?;
        for finding in loaded.report.findings() {
            if matches!(finding.severity, Severity::Warning | Severity::Inert) {
                self.logger.warn(format_args!("{finding}"));
            }
        }
        Ok(loaded)
    }

    fn write_ports_file(&mut self, config: &Config) {
        // The old one first: in the same folder it is the same file.
        self.ports_file = None;
        let Some(folder) = config
            .ports_file_dir
            .as_deref()
            .filter(|folder| !folder.is_empty())
        else {
            return;
        };
        match PortsFile::write(self.disk.clone(), Path::new(folder), &self.endpoints) {
            Ok(file) => self.ports_file = Some(file),
            Err(error) => self
                .logger
                .error(format_args!("Error writing ports file ({folder}): {error}")),
        }
    }

    fn write_pid_file(&self, config: &Config) {
        let Some(path) = config.pid_file.as_deref().filter(|path| !path.is_empty()) else {
            return;
        };
        if let Err(error) = write_pid_file(self.disk.as_ref(), Path::new(path)) {
            self.logger
                .error(format_args!("Failed to write pidfile: {error}"));
        }
    }
}

impl ReloadHost for Takeover<'_> {
    fn prepare(&mut self, plan: &Plan, config: &Config) -> Result<(), String> {
        self.prepared = None;
        if LOG_KEYS.iter().any(|key| plan.has(key)) {
            let target = Target::of(config);
            let format = LineFormat::of(config, &target);
            let change = self
                .log
                .prepare(target, format)
                .map_err(|error| error.to_string())?;
            self.prepared = Some(change);
        }
        Ok(())
    }

    fn take_over(&mut self, key: &str, config: &Config) {
        match key {
            "pid_file" => self.write_pid_file(config),
            "ports_file_dir" => self.write_ports_file(config),
            _ => {}
        }
    }

    fn finish(&mut self, config: &Config) {
        if let Some(change) = self.prepared.take() {
            self.log.change(change);
            self.logger.set_levels(config.debug, config.trace);
        }
    }
}
