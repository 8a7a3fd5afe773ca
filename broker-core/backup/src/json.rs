//! What a backup says in JSON: the stream's state, and each consumer. (STORE-76)

use std::collections::BTreeMap;

use dunlin_api::{ConsumerState, PendingAck, SequencePair, StreamState};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The state of the stream when the backup was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupState {
    /// The stream's figures.
    pub stream: StreamState,
    /// How many consumers follow.
    pub consumers: u64,
}

impl BackupState {
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let read: StateJson = first_value(json)?;
        let stream = StreamState {
            messages: read.messages,
            bytes: read.bytes,
            first: read.first_seq,
            first_time: read.first_ts.0,
            last: read.last_seq,
            last_time: read.last_ts.0,
            subjects: read.num_subjects,
        };
        Ok(Self {
            stream,
            consumers: read.consumer_count,
        })
    }

    pub(crate) fn to_json(self) -> Result<Vec<u8>, serde_json::Error> {
        let Self { stream, .. } = self;
        serde_json::to_vec(&StateJson {
            messages: stream.messages,
            bytes: stream.bytes,
            first_seq: stream.first,
            first_ts: Time(stream.first_time),
            last_seq: stream.last,
            last_ts: Time(stream.last_time),
            num_subjects: stream.subjects,
            num_deleted: stream.deleted(),
            consumer_count: self.consumers,
        })
    }
}

/// A consumer in a backup.
#[derive(Clone, Debug)]
pub struct BackupConsumer {
    /// Its name.
    pub name: String,
    /// Its configuration, JSON, as it was found.
    pub config: Box<str>,
    /// Its state.
    pub state: ConsumerState,
}

/// What a consumer's JSON lacks.
pub(crate) enum ConsumerFault {
    Json(serde_json::Error),
    Missing(&'static str),
}

impl BackupConsumer {
    pub(crate) fn from_json(name: &str, json: &[u8]) -> Result<Self, ConsumerFault> {
        let read: ConsumerJson<Box<RawValue>> = first_value(json).map_err(ConsumerFault::Json)?;
        let config = read.config.ok_or(ConsumerFault::Missing("config"))?;
        let state = read.state.ok_or(ConsumerFault::Missing("state"))?;
        Ok(Self {
            name: name.to_owned(),
            config: config.get().into(),
            state: state.into(),
        })
    }

    /// The configuration must be JSON.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let config: &RawValue = serde_json::from_str(&self.config)?;
        serde_json::to_vec(&ConsumerJson {
            config: Some(config),
            state: Some(ConsumerStateJson::from(&self.state)),
        })
    }
}

/// The first value in some JSON; what follows is passed over, as the reference does.
fn first_value<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    let mut values = serde_json::Deserializer::from_slice(json);
    T::deserialize(&mut values)
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct StateJson {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    first_ts: Time,
    last_seq: u64,
    last_ts: Time,
    #[serde(skip_serializing_if = "is_zero")]
    num_subjects: u64,
    #[serde(skip_serializing_if = "is_zero")]
    num_deleted: u64,
    consumer_count: u64,
}

#[derive(Serialize, Deserialize)]
struct ConsumerJson<C> {
    config: Option<C>,
    state: Option<ConsumerStateJson>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ConsumerStateJson {
    delivered: PairJson,
    ack_floor: PairJson,
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pending: BTreeMap<u64, PendingJson>,
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_empty"
    )]
    redelivered: BTreeMap<u64, u64>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct PairJson {
    consumer_seq: u64,
    stream_seq: u64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct PendingJson {
    sequence: u64,
    timestamp: i64,
}

fn null_is_empty<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    input: D,
) -> Result<BTreeMap<u64, V>, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

impl From<SequencePair> for PairJson {
    fn from(pair: SequencePair) -> Self {
        Self {
            consumer_seq: pair.consumer,
            stream_seq: pair.stream,
        }
    }
}

impl From<PairJson> for SequencePair {
    fn from(pair: PairJson) -> Self {
        Self {
            consumer: pair.consumer_seq,
            stream: pair.stream_seq,
        }
    }
}

impl From<&ConsumerState> for ConsumerStateJson {
    fn from(state: &ConsumerState) -> Self {
        let pending = state.pending.iter().map(|(stream, pending)| {
            let pending = PendingJson {
                sequence: pending.consumer,
                timestamp: pending.time,
            };
            (*stream, pending)
        });
        Self {
            delivered: state.delivered.into(),
            ack_floor: state.ack_floor.into(),
            pending: pending.collect(),
            redelivered: state.redelivered.clone(),
        }
    }
}

impl From<ConsumerStateJson> for ConsumerState {
    fn from(state: ConsumerStateJson) -> Self {
        let pending = state.pending.into_iter().map(|(stream, pending)| {
            let pending = PendingAck {
                consumer: pending.sequence,
                time: pending.timestamp,
            };
            (stream, pending)
        });
        Self {
            delivered: state.delivered.into(),
            ack_floor: state.ack_floor.into(),
            pending: pending.collect(),
            redelivered: state.redelivered,
        }
    }
}

fn is_zero(figure: &u64) -> bool {
    *figure == 0
}

/// Nanoseconds since the Unix epoch, in JSON a time of day; 0 is Go's zero time.
#[derive(Default)]
struct Time(i64);

const NO_TIME: &str = "0001-01-01T00:00:00Z";

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match Timestamp::from_nanosecond(self.0.into()) {
            Ok(time) if self.0 != 0 => out.collect_str(&time),
            _ => out.serialize_str(NO_TIME),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        if text == NO_TIME {
            return Ok(Self(0));
        }
        let time: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        let nanoseconds = i64::try_from(time.as_nanosecond());
        nanoseconds.map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // STORE-76: as the reference wrote it into a backup.
    const STATE: &str = r#"{"messages":4,"bytes":128,"first_seq":1,"first_ts":"2026-11-22T15:28:29.423137922Z","last_seq":4,"last_ts":"2026-11-22T15:28:29.423770768Z","num_subjects":1,"consumer_count":1}"#;

    #[test]
    fn a_state_is_written_as_the_reference_writes_it() {
        let state = BackupState::from_json(STATE.as_bytes()).unwrap();
        assert_eq!((state.stream.messages, state.consumers), (4, 1));
        assert_eq!(state.stream.first_time, 1_795_361_309_423_137_922);
        assert_eq!(state.to_json().unwrap(), STATE.as_bytes());
    }

    #[test]
    fn a_stream_without_messages_has_gos_zero_time() {
        let json = BackupState::default().to_json().unwrap();
        let text = r#"{"messages":0,"bytes":0,"first_seq":0,"first_ts":"0001-01-01T00:00:00Z","last_seq":0,"last_ts":"0001-01-01T00:00:00Z","consumer_count":0}"#;
        assert_eq!(String::from_utf8(json).unwrap(), text);
        assert_eq!(
            BackupState::from_json(text.as_bytes()).unwrap(),
            BackupState::default()
        );
    }

    #[test]
    fn a_consumer_keeps_its_configuration_as_it_was_found() {
        let json = r#"{"config":{"durable_name":"c","unknown":[1, 2]},"state":{"delivered":{"consumer_seq":6,"stream_seq":4},"ack_floor":{"consumer_seq":0,"stream_seq":0},"pending":{"1":{"Sequence":1,"Timestamp":1795361309423137922},"4":{"Sequence":5,"Timestamp":3}},"redelivered":{"1":1,"3":1}}}"#;
        let Ok(consumer) = BackupConsumer::from_json("c", json.as_bytes()) else {
            panic!("it is whole");
        };
        assert_eq!(&*consumer.config, r#"{"durable_name":"c","unknown":[1, 2]}"#);
        assert_eq!(consumer.state.pending[&4], PendingAck { consumer: 5, time: 3 });
        assert_eq!(String::from_utf8(consumer.to_json().unwrap()).unwrap(), json);
    }
}
