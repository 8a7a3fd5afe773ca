//! The typed configuration and its two front ends.
//!
//! TOML and nats.conf both become one tree of [`Value`]s that know their [`Position`]; sections read themselves
//! from that tree ([`ConfigSection`]) and put what is wrong into a [`Report`]. Nothing here opens a file, reads
//! the environment or looks at a clock: text comes through a [`Source`]. Input never makes it panic or loop.
//!
//! A section of a plugin:
//!
//! ```
//! use dunlin_config::{ConfigSection, ListenAddress, Report, TableReader};
//!
//! /// Options of the line listener.
//! #[derive(Clone, Debug, ConfigSection)]
//! pub struct LineOptions {
//!     /// Where to listen.
//!     #[config(default = "127.0.0.1:4333")]
//!     pub listen: ListenAddress,
//!     /// Longest line, in bytes.
//!     #[config(default = 4096)]
//!     pub max_line: u32,
//! }
//!
//! let options = LineOptions::defaults();
//! assert_eq!(options.listen.port, 4333);
//! ```
#![deny(clippy::indexing_slicing)]

// The derive names this crate by its path; inside the crate itself that needs an alias.
#[allow(unused_extern_crates)]
extern crate self as dunlin_config;

mod check;
mod convert;
mod digest;
mod explain;
mod load;
mod nats_conf;
mod nkey;
mod options;
mod reference;
pub mod reload;
mod report;
mod rewrite;
mod schema;
mod section;
mod server_url;
mod shape;
mod source;
mod text;
mod toml_front;
mod tree;
mod value;

pub use check::check;
pub use convert::{ByteSize, ListenAddress, OneOrMany, Secret, duration_text};
pub use dunlin_config_derive::ConfigSection;
pub use explain::{Explanation, UnknownKey, explain};
pub use load::{LoadError, Loaded};
pub use options::{
    Account, AccountJetStream, AccountLimits, AuthCallout, Authorization, BatchLimits, CertificateFiles,
    CipherSuite, ClusterOptions, ClusterTraffic, Compression, CompressionMode, Config, ConfigError,
    ConnectionType, Curve, DirectoryKind, DirectoryResolver, Export, GLOBAL_ACCOUNT, GatewayOptions,
    HandshakeFirst, Import, ImportSource, JetStreamLimits, JetStreamOptions, LeafnodeAuthorization,
    LeafnodeOptions, LeafnodeProxy, LeafnodeUser, ListenerLogin, LogFormat, MessageTrace, MigrateOptions,
    MqttOptions, OcspCacheKind, OcspCacheOptions, OcspMode, OcspOptions, OcspPeer, PeerLogin, Permissions,
    PluginKind, PluginOptions, Proxies, RemoteGateway, RemoteLeafnode, Resolver, ResponsePermission,
    ResponseType, RoutePermissions, Sampling, ServiceLatency, StoreCipher, SubjectRule, SubjectRules,
    SyncInterval, TlsOptions, TlsVersion, TpmOptions, TrustedProxy, User, WebsocketOptions, WriteTimeout,
    expand_path,
};
pub use reference::{reference_markdown, section_markdown};
pub use report::{Finding, Report, Severity};
pub use rewrite::{Converted, convert};
pub use schema::json_schema;
pub use section::{
    ConfigSection, ConfigValue, Field, FromDefault, KeySpec, KeyStatus, TableReader, read_section,
};
pub use server_url::ServerUrl;
pub use shape::{SectionSpec, Shape};
pub use source::{MapSource, Source};
pub use text::{DurationError, parse_duration, print_duration, quote};
pub use tree::{Format, SyntaxError, digest_of, parse};
pub use value::{Entry, Node, Origin, Position, Table, Value};
