//! What the command line has: each flag and each command once, for parsing, the help, completions and the man page.

use dunlin_config::Secret;

use super::{CliError, Flags};

/// A flag.
pub(super) struct Flag {
    /// Its names without dashes, those in the help first.
    pub(super) names: &'static [&'static str],
    /// What the help calls its value; empty for a boolean.
    pub(super) value: &'static str,
    /// What a shell proposes for its value.
    pub(super) proposes: Proposes,
    /// Where the help shows it.
    pub(super) group: Group,
    /// What it does. A line feed goes on in the same column.
    pub(super) help: &'static str,
    /// How its value is read, and where it goes.
    pub(super) put: Put,
    /// Checked, and without effect in this version.
    pub(super) is_inert: bool,
}

/// How a flag reads its value, and where it puts it.
#[derive(Clone, Copy)]
pub(super) enum Put {
    Bool(fn(&mut Flags, bool)),
    Int(fn(&mut Flags, i64)),
    Text(fn(&mut Flags, String)),
}

/// What a shell proposes for a value.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Proposes {
    Nothing,
    Files,
    Folders,
    Words(&'static [&'static str]),
}

/// The sections of the help.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Group {
    Server,
    Logging,
    JetStream,
    Authorization,
    Tls,
    Cluster,
    Profiling,
    Common,
}

impl Group {
    pub(super) const ALL: [Self; 8] = [
        Self::Server,
        Self::Logging,
        Self::JetStream,
        Self::Authorization,
        Self::Tls,
        Self::Cluster,
        Self::Profiling,
        Self::Common,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Logging => "Logging",
            Self::JetStream => "JetStream",
            Self::Authorization => "Authorization",
            Self::Tls => "TLS",
            Self::Cluster => "Cluster",
            Self::Profiling => "Profiling",
            Self::Common => "Common",
        }
    }
}

/// A word that is a command, and ends the flags.
pub(super) struct Word {
    /// The word.
    pub(super) name: &'static str,
    /// What follows it, as the help shows it.
    pub(super) arguments: &'static str,
    /// What it does.
    pub(super) help: &'static str,
    /// What a shell proposes for the first word that follows.
    pub(super) proposes: Proposes,
}

/// What may follow `config`.
const CONFIG: Proposes = Proposes::Words(&["check", "convert", "diff", "explain", "schema"]);

/// What may follow `store`.
const STORE: Proposes = Proposes::Words(&["check", "repair", "stat", "dump"]);

/// The commands.
pub(super) const WORDS: &[Word] = &[
    Word {
        name: "config",
        arguments: "check <file>",
        help: "Say what is wrong with a configuration, also what -t leaves to the start",
        proposes: CONFIG,
    },
    Word {
        name: "config",
        arguments: "convert <file> [toml|nats.conf]",
        help: "Show a configuration in the other syntax, comments included",
        proposes: CONFIG,
    },
    Word {
        name: "config",
        arguments: "diff <old file> <new file>",
        help: "Say what a reload would change, and what needs a restart",
        proposes: CONFIG,
    },
    Word {
        name: "config",
        arguments: "explain [<key>]",
        help: "Say what a key of the configuration means, or list the keys",
        proposes: CONFIG,
    },
    Word {
        name: "config",
        arguments: "schema",
        help: "Show the JSON schema of the configuration, for editors",
        proposes: CONFIG,
    },
    Word {
        name: "store",
        arguments: "check <dir> [--json]",
        help: "Verify every file and record of a store directory, of an account or a stream",
        proposes: STORE,
    },
    Word {
        name: "store",
        arguments: "repair <dir> [--json]",
        help: "Make a damaged store open again; what is replaced is kept in set-aside",
        proposes: STORE,
    },
    Word {
        name: "store",
        arguments: "stat <dir> [--json]",
        help: "Say what a store directory holds",
        proposes: STORE,
    },
    Word {
        name: "store",
        arguments: "dump <dir> [--from <seq>] [--to <seq>] [--json]",
        help: "Show messages. All of these take --account <name>, --key-file <file>\nand --cipher <aes|chacha>",
        proposes: STORE,
    },
    Word {
        name: "plugins",
        arguments: "",
        help: "List the plugins of this binary, with their options",
        proposes: Proposes::Nothing,
    },
    Word {
        name: "completions",
        arguments: "<bash|zsh|fish>",
        help: "Show the completions for a shell",
        proposes: Proposes::Words(&["bash", "zsh", "fish"]),
    },
    Word {
        name: "man",
        arguments: "",
        help: "Show the manual page, for man -l -",
        proposes: Proposes::Nothing,
    },
    Word {
        name: "version",
        arguments: "",
        help: "Show the version",
        proposes: Proposes::Nothing,
    },
    Word {
        name: "help",
        arguments: "",
        help: "Show this text",
        proposes: Proposes::Nothing,
    },
];

/// The flags, in the order of the help.
pub(super) const FLAGS: &[Flag] = &[
    text(
        &["a", "addr", "net"],
        "<host>",
        Group::Server,
        "Address to listen on (default: 0.0.0.0)",
        |flags, host| {
            flags.host = Some(host);
        },
    ),
    number(
        &["p", "port"],
        "<port>",
        Group::Server,
        "Port for clients (default: 4222; -1: any free one)",
        |flags, port| {
            flags.port = Some(port);
        },
    ),
    text(
        &["n", "name", "server_name"],
        "<name>",
        Group::Server,
        "Name of this server (default: its id)",
        |flags, name| {
            flags.name = Some(name);
        },
    ),
    text(
        &["client_advertise"],
        "<address>",
        Group::Server,
        "Host and port that clients are told in place of the own ones",
        |flags, address| flags.client_advertise = Some(address),
    ),
    text(
        &["P", "pid"],
        "<file>",
        Group::Server,
        "File that receives the process id",
        |flags, path| {
            flags.pid_file = Some(path);
        },
    )
    .proposing(Proposes::Files),
    text(
        &["ports_file_dir"],
        "<folder>",
        Group::Server,
        "Folder that receives <executable>_<pid>.ports",
        |flags, path| flags.ports_file_dir = Some(path),
    )
    .proposing(Proposes::Folders),
    number(
        &["m", "http_port"],
        "<port>",
        Group::Server,
        "Port for monitoring",
        |flags, port| flags.http_port = Some(port),
    )
    .inert(),
    number(
        &["ms", "https_port"],
        "<port>",
        Group::Server,
        "Port for monitoring over TLS",
        |flags, port| flags.https_port = Some(port),
    )
    .inert(),
    text(
        &["c", "config"],
        "<file>",
        Group::Server,
        "Configuration file: TOML by its extension, else nats.conf",
        |flags, path| flags.config = Some(path).filter(|path| !path.is_empty()),
    )
    .proposing(Proposes::Files),
    switch(
        &["t"],
        Group::Server,
        "Check the configuration file and exit",
        |flags, on| flags.test = on,
    ),
    text(
        &["sl", "signal"],
        "<signal>[=<pid>]",
        Group::Server,
        "Send a signal to a running broker: ldm, stop, quit, term, reopen, reload;\n\
         <pid> is a process id, a pattern such as 12*, or a pid file",
        |flags, signal| flags.signal = Some(signal),
    )
    .proposing(Proposes::Words(&[
        "ldm", "stop", "quit", "term", "reopen", "reload",
    ])),
    text(
        &["l", "log"],
        "<file>",
        Group::Logging,
        "Log to a file in place of standard error",
        |flags, path| flags.log_file = Some(path),
    )
    .proposing(Proposes::Files),
    number(
        &["log_size_limit"],
        "<bytes>",
        Group::Logging,
        "Rotate the log file past this size (default: never)",
        |flags, bytes| flags.log_size_limit = Some(bytes),
    ),
    text(
        &["log_format"],
        "<text|json>",
        Group::Logging,
        "Lines as text, or one JSON object a line (default: text)",
        |flags, name| flags.log_format = Some(name),
    )
    .proposing(Proposes::Words(&["text", "json"])),
    switch(
        &["s", "syslog"],
        Group::Logging,
        "Log to the machine's syslog",
        |flags, on| {
            flags.syslog = Some(on);
        },
    ),
    text(
        &["r", "remote_syslog"],
        "<url>",
        Group::Logging,
        "Log to a syslog elsewhere: udp://host:port, tcp://host:port or unix:///path",
        |flags, url| flags.remote_syslog = Some(url),
    ),
    switch(
        &["T", "logtime"],
        Group::Logging,
        "Begin lines with the time (default: true)",
        |flags, on| {
            flags.logtime = Some(on);
        },
    ),
    switch(
        &["logtime_utc"],
        Group::Logging,
        "In UTC rather than local time (default: false)",
        |flags, on| {
            flags.logtime_utc = Some(on);
        },
    ),
    switch(
        &["D", "debug"],
        Group::Logging,
        "Log what the broker does",
        |flags, on| flags.debug = Some(on),
    ),
    switch(
        &["V", "trace"],
        Group::Logging,
        "Log the protocol",
        |flags, on| flags.trace = Some(on),
    ),
    switch(
        &["VV"],
        Group::Logging,
        "Trace the system account too",
        |flags, on| {
            flags.verbose_trace = Some(on);
        },
    ),
    switch(&["DV"], Group::Logging, "Debug and trace", |flags, on| {
        flags.debug_and_trace = Some(on)
    }),
    switch(
        &["DVV"],
        Group::Logging,
        "Debug, and trace the system account too",
        |flags, on| {
            flags.debug_and_verbose_trace = Some(on);
        },
    ),
    number(
        &["max_traced_msg_len"],
        "<bytes>",
        Group::Logging,
        "Longest part of a traced message that is shown (default: all)",
        |flags, bytes| flags.max_traced_msg_len = Some(bytes),
    ),
    switch(&["js", "jetstream"], Group::JetStream, "Streams", |flags, on| {
        flags.jetstream = Some(on)
    })
    .inert(),
    text(
        &["sd", "store_dir"],
        "<folder>",
        Group::JetStream,
        "Folder of the streams",
        |flags, folder| flags.store_dir = Some(folder),
    )
    .proposing(Proposes::Folders)
    .inert(),
    text(
        &["user"],
        "<name>",
        Group::Authorization,
        "User that connections need",
        |flags, name| {
            flags.user = Some(name);
        },
    ),
    text(
        &["pass"],
        "<password>",
        Group::Authorization,
        "Its password",
        |flags, password| {
            flags.pass = Some(Secret::new(password));
        },
    ),
    text(
        &["auth"],
        "<token>",
        Group::Authorization,
        "Token that connections need",
        |flags, token| {
            flags.auth = Some(Secret::new(token));
        },
    ),
    switch(
        &["tls"],
        Group::Tls,
        "Require TLS of clients; false switches it off",
        |flags, on| flags.tls = Some(on),
    ),
    text(
        &["tlscert"],
        "<file>",
        Group::Tls,
        "Certificate of the server, PEM",
        |flags, path| {
            flags.tlscert = Some(path);
        },
    )
    .proposing(Proposes::Files),
    text(
        &["tlskey"],
        "<file>",
        Group::Tls,
        "Its private key, PEM",
        |flags, path| flags.tlskey = Some(path),
    )
    .proposing(Proposes::Files),
    switch(
        &["tlsverify"],
        Group::Tls,
        "Require TLS, and verify certificates of clients",
        |flags, on| {
            flags.tlsverify = Some(on);
        },
    ),
    text(
        &["tlscacert"],
        "<file>",
        Group::Tls,
        "Authorities that vouch for clients, PEM",
        |flags, path| {
            flags.tlscacert = Some(path);
        },
    )
    .proposing(Proposes::Files),
    text(
        &["routes"],
        "<url, url>",
        Group::Cluster,
        "Servers to connect to",
        |flags, urls| {
            flags.routes = Some(urls);
        },
    )
    .inert(),
    text(
        &["cluster", "cluster_listen"],
        "<url>",
        Group::Cluster,
        "Where other servers connect: nats://[user:pass@]host:port",
        |flags, url| flags.cluster = Some(url),
    )
    .inert(),
    text(
        &["cluster_name"],
        "<name>",
        Group::Cluster,
        "Name of the cluster (default: random)",
        |flags, name| flags.cluster_name = Some(name),
    )
    .inert(),
    text(
        &["cluster_advertise"],
        "<address>",
        Group::Cluster,
        "Host and port that other servers are told",
        |flags, address| flags.cluster_advertise = Some(address),
    )
    .inert(),
    switch(
        &["no_advertise"],
        Group::Cluster,
        "Do not tell clients about the cluster",
        |flags, on| flags.no_advertise = Some(on),
    )
    .inert(),
    number(
        &["connect_retries"],
        "<number>",
        Group::Cluster,
        "Attempts to reach a server that another told about",
        |flags, number| flags.connect_retries = Some(number),
    )
    .inert(),
    number(
        &["profile"],
        "<port>",
        Group::Profiling,
        "Port of the profiler",
        |flags, port| flags.profile = Some(port),
    )
    .inert(),
    switch(&["h", "help"], Group::Common, "Show this text", |flags, on| {
        flags.help = on
    }),
    switch(
        &["v", "version"],
        Group::Common,
        "Show the version",
        |flags, on| flags.version = on,
    ),
    switch(&["help_tls"], Group::Common, "Show help for TLS", |flags, on| {
        flags.help_tls = on
    }),
];

/// The flag of a name.
pub(super) fn flag(name: &str) -> Result<&'static Flag, CliError> {
    FLAGS
        .iter()
        .find(|flag| flag.names.contains(&name))
        .ok_or_else(|| CliError::UnknownFlag(name.to_owned()))
}

/// A name with the dashes that the help gives it: one for `-p`, `-sl` and `-DVV`, two for words.
pub(super) fn dashed(name: &str) -> String {
    let is_short = name.len() <= 2 || name.bytes().all(|letter| letter.is_ascii_uppercase());
    format!("{}{name}", if is_short { "-" } else { "--" })
}

impl Flag {
    const fn new(
        names: &'static [&'static str],
        value: &'static str,
        group: Group,
        help: &'static str,
        put: Put,
    ) -> Self {
        Self {
            names,
            value,
            proposes: Proposes::Nothing,
            group,
            help,
            put,
            is_inert: false,
        }
    }

    const fn proposing(mut self, proposes: Proposes) -> Self {
        self.proposes = proposes;
        self
    }

    const fn inert(mut self) -> Self {
        self.is_inert = true;
        self
    }

    /// The name in messages: the longest one, which says most.
    pub(super) fn long_name(&self) -> &'static str {
        self.names
            .get(1)
            .or(self.names.first())
            .copied()
            .unwrap_or_default()
    }
}

const fn switch(
    names: &'static [&'static str],
    group: Group,
    help: &'static str,
    put: fn(&mut Flags, bool),
) -> Flag {
    Flag::new(names, "", group, help, Put::Bool(put))
}

const fn number(
    names: &'static [&'static str],
    value: &'static str,
    group: Group,
    help: &'static str,
    put: fn(&mut Flags, i64),
) -> Flag {
    Flag::new(names, value, group, help, Put::Int(put))
}

const fn text(
    names: &'static [&'static str],
    value: &'static str,
    group: Group,
    help: &'static str,
    put: fn(&mut Flags, String),
) -> Flag {
    Flag::new(names, value, group, help, Put::Text(put))
}
