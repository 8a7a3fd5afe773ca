//! What a plugin author sees: the traits, their types and the seam to the world.
//!
//! A plugin implements [`Listener`], [`AuthProvider`], [`StoreBackend`] or [`Service`], exports it as a [`Plugin`],
//! and is added to the one list in `plugins/builtin`. What it may do with the running broker is [`Broker`]; what it
//! may do with the world is [`Env`]. This crate never learns about a concrete plugin.

mod auth;
mod broker;
mod certificate;
mod connection;
mod dn;
mod env;
pub mod fault;
mod listener;
pub mod log;
mod message;
mod plugin;
mod reload;
mod service;
mod shard;
mod store;
pub mod system_error;

pub use auth::{
    AuthPosture, AuthProvider, ConnectionType, Credentials, Denied, Evidence, Login, LoginAttempt,
    SessionLimits,
};
pub use broker::{
    Broker, BrokerCore, CloseReason, OpenError, PublishRefusal, Refused, ServerIdentity, Session,
    SessionCore, SessionFlags, SessionRequest, SubscribeError,
};
pub use certificate::{CertificateNames, TlsPeer};
pub use connection::{Admission, AdmissionPlace, ConnectionLog, ConnectionStatus, SessionControl, SlowWatch};
pub use dn::{DistinguishedName, DnAttribute, DnError};
pub use dunlin_config::{self as config, Permissions, PluginKind, Secret};
pub use dunlin_subject::{AccountName, Filter, FilterBuf, QueueName, Sid, Subject, SubjectBuf};
pub use env::*;
pub use listener::{Connection, Endpoint, Listener, TakeOver};
pub use log::Log;
pub use message::{Deliver, Delivery, Inbox, Message, OwnedMessage, Quota};
pub use plugin::{Component, Factory, NoOptions, Plugin, PluginError, Registry, RegistryError, Setup};
pub use reload::ReloadHost;
pub use service::{Service, ServiceError};
pub use shard::{ChunkPool, Flush, Residence, Scratch, Shard, Turn};
pub use store::{
    Answer, Capabilities, Compression, ConsumerChange, ConsumerState, ConsumerStore, Counting, Damage, Due,
    Lease, Load, NewMessage, OpenNames, PendingAck, Purge, PurgeExtent, Purged, ReadJob, Removal,
    SequencePair, SnapshotChunk, SnapshotCursor, SourcePosition, SourcePositions, Staged, StorageType,
    StoreBackend, StoreError, StoreObserver, StoredMessage, StreamId, StreamOptions, StreamShape,
    StreamState, StreamStore, SubjectState, Ticket, TimerKind, UsageChange, Warm, Warmed, is_store_name,
    matches_any,
};
