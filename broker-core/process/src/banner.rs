//! What a broker says about itself when it starts (CORE-80, CORE-81).
//!
//! The lines stand where the reference has them; what is on, and for whom, is said in addition.

use dunlin_api::{Logger, ServerIdentity};
use dunlin_config::{Config, Loaded, Severity};

use crate::Program;

/// Above this a payload is discouraged, in bytes.
const LARGE_PAYLOAD: u64 = 8 * 1024 * 1024;

/// What the first lines tell.
#[derive(Debug)]
pub struct Banner<'a> {
    /// What the broker was started as.
    pub program: Program,
    /// Dunlin's own version.
    pub version: &'a str,
    /// Who the broker is.
    pub identity: &'a ServerIdentity,
    /// The configuration that it runs with, flags applied, and what reading it found.
    pub loaded: &'a Loaded,
    /// The configuration's file, if there is one.
    pub file: Option<&'a str>,
    /// Flags given that have no effect yet.
    pub flags_without_effect: &'a [&'static str],
}

impl Banner<'_> {
    /// Logs who starts, with which configuration, and what in it deserves a word. What the reference warns of is not
    /// among it: that was printed to standard error when the file was read (CORE-124).
    pub fn announce(&self, logger: &Logger) {
        let Loaded {
            config,
            report,
            digest,
        } = self.loaded;
        let (version, level) = (self.version, self.identity.version);
        logger.notice(format_args!("Starting {}", self.program.name()));
        match self.program {
            Program::Dunlin => logger.notice(format_args!("  Version:  {version} (NATS {level})")),
            Program::NatsServer => {
                logger.notice(format_args!("  Version:  {level}"));
                logger.notice(format_args!("  Dunlin:   {version}"));
            }
        }
        logger.notice(format_args!("  Git:      [not set]"));
        logger.notice(format_args!("  Name:     {}", self.identity.name));
        logger.notice(format_args!("  ID:       {}", self.identity.id));
        if has_plain_passwords(config) {
            logger.warn(format_args!("Plaintext passwords detected, use nkeys or bcrypt"));
        }
        if let Some(file) = self.file {
            logger.notice(format_args!("Using configuration file: {file} ({digest})"));
        }
        for finding in report.findings() {
            let log = match finding.severity {
                Severity::Inert => Logger::warn,
                Severity::Notice => Logger::notice,
                Severity::Warning | Severity::Error => continue,
            };
            log(logger, format_args!("{finding}"));
            if let Some(remedy) = &finding.remedy {
                log(logger, format_args!("  {remedy}"));
            }
        }
        for flag in self.flags_without_effect {
            logger.warn(format_args!(
                "flag --{flag} has no effect yet in this version of Dunlin"
            ));
        }
        if u64::try_from(config.max_payload).is_ok_and(|limit| limit > LARGE_PAYLOAD) {
            logger.warn(format_args!(
                "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance"
            ));
        }
    }
}

/// Logs for whom a broker is open, and which plugins the configuration has added. Names no user.
pub fn describe(config: &Config, logger: &Logger) {
    let block = config.authorization.as_ref();
    let users = config.users().count() + usize::from(block.is_some_and(|block| block.user.is_some()));
    let accounts = config.accounts.len();
    let decided_by_plugin = config.plugins.iter().any(|plugin| plugin.kind.key() == "auth");
    if users > 0 {
        logger.notice(format_args!(
            "Clients need credentials; users: {users}, accounts beside the global one: {accounts}"
        ));
    } else if block.is_some_and(|block| !block.token.is_empty()) {
        logger.notice(format_args!("Clients need the configured token"));
    } else if !decided_by_plugin {
        logger.notice(format_args!(
            "Everybody who reaches this server may connect: no users are configured"
        ));
    }
    for plugin in &config.plugins {
        logger.notice(format_args!("Plugin {} {} is on", plugin.kind, plugin.name));
    }
}

/// Tokens are not counted, as the reference does not count them.
fn has_plain_passwords(config: &Config) -> bool {
    let mut single = config.authorization.iter().map(|block| &block.pass);
    let mut users = config.users().filter(|(_, user)| user.nkey.is_none());
    single.any(|pass| !pass.is_empty() && !pass.is_bcrypt()) || users.any(|(_, user)| !user.pass.is_bcrypt())
}

#[cfg(test)]
mod tests {
    use dunlin_config::MapSource;

    use super::*;
    use crate::log::memory_sink;

    /// What a broker says with `file` in nats.conf.
    fn said(file: &str) -> (Vec<String>, Vec<String>) {
        said_as(Program::Dunlin, file)
    }

    fn said_as(program: Program, file: &str) -> (Vec<String>, Vec<String>) {
        let source = MapSource::new().file("x.conf", file);
        let mut loaded = Config::load("x.conf", &source).unwrap();
        loaded.digest = "sha256:1".to_owned();
        let identity = ServerIdentity {
            id: "NID".to_owned(),
            name: "east".to_owned(),
            version: "2.15.2",
            xkey: String::new(),
        };
        let banner = Banner {
            program,
            version: "0.1.0",
            identity: &identity,
            loaded: &loaded,
            file: Some("x.conf"),
            flags_without_effect: &["profile"],
        };
        let sink = memory_sink();
        let logger = Logger::new(sink.clone());
        banner.announce(&logger);
        let announced = sink.take();
        describe(&loaded.config, &logger);
        (announced, sink.take())
    }

    fn check_described(file: &str, expected: &[&str]) {
        assert_eq!(said(file).1, expected, "{file}");
    }

    fn warns_of_passwords(file: &str) -> bool {
        let warning = "[WRN] Plaintext passwords detected, use nkeys or bcrypt";
        said(file).0.contains(&warning.to_owned())
    }

    // CORE-80, CORE-81, CORE-124
    #[test]
    fn the_banner_has_the_references_order() {
        let file = "accounts { A { users: [ {user: a, password: b} ] } }
                    max_payload: 9mb
                    ping_interval: 10
                    prof_port: 6060";
        let (announced, _) = said(file);
        let announced: Vec<&str> = announced.iter().map(String::as_str).collect();
        assert_eq!(
            announced.split_at(7).0,
            [
                "[INF] Starting dunlin",
                "[INF]   Version:  0.1.0 (NATS 2.15.2)",
                "[INF]   Git:      [not set]",
                "[INF]   Name:     east",
                "[INF]   ID:       NID",
                "[WRN] Plaintext passwords detected, use nkeys or bcrypt",
                "[INF] Using configuration file: x.conf (sha256:1)",
            ]
        );
        let rest = announced.split_at(7).1.join("\n");
        assert!(
            rest.contains("[WRN] x.conf:4:21: key \"prof_port\" has no effect"),
            "{rest}"
        );
        assert!(rest.contains("[WRN] flag --profile has no effect"), "{rest}");
        assert!(rest.contains("[WRN] Maximum payloads over 8.00 MB are"), "{rest}");
        assert!(
            !rest.contains("ping_interval"),
            "printed before the log began: {rest}"
        );
    }

    // CORE-80
    #[test]
    fn as_nats_server_it_says_so_and_its_own_version_too() {
        let (announced, _) = said_as(Program::NatsServer, "port: 4222");
        let first = [
            "[INF] Starting nats-server",
            "[INF]   Version:  2.15.2",
            "[INF]   Dunlin:   0.1.0",
        ];
        assert_eq!(announced[..3], first);
    }

    // CORE-80
    #[test]
    fn plain_passwords_are_warned_of_and_hashes_and_tokens_are_not() {
        let hash = "$2a$10$UHR6GhotWhpLsKtVP0/i6.Nh9.fuY73cWjLoJjb2sKT8KISBcUW5q";
        assert!(warns_of_passwords("authorization { user: a, password: b }"));
        assert!(warns_of_passwords(
            "authorization { users: [ {user: a, password: b} ] }"
        ));
        assert!(!warns_of_passwords("authorization { token: b }"));
        assert!(!warns_of_passwords(&format!(
            "authorization {{ user: a, password: '{hash}' }}"
        )));
        assert!(!warns_of_passwords(&format!(
            "accounts {{ A {{ users: [ {{user: a, password: '{hash}'}} ] }} }}"
        )));
        assert!(!warns_of_passwords(""));
    }

    #[test]
    fn it_is_said_for_whom_the_broker_is_open() {
        check_described(
            "port: 4222",
            &["[INF] Everybody who reaches this server may connect: no users are configured"],
        );
        check_described(
            "authorization { token: s3cret }",
            &["[INF] Clients need the configured token"],
        );
        check_described(
            "authorization { user: joe, password: s3cret }",
            &["[INF] Clients need credentials; users: 1, accounts beside the global one: 0"],
        );
        check_described(
            "accounts { A { users: [ {user: a, password: b} ] }, B { users: [ {user: c, password: d} ] } }",
            &["[INF] Clients need credentials; users: 2, accounts beside the global one: 2"],
        );
    }
}
