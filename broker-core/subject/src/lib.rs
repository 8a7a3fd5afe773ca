//! Subjects, wildcards, the interest index, and what stores need to know of subjects and sequences.
//!
//! A [`Subject`] is what a message is published to, a [`Filter`] what a subscription listens on. The
//! [`InterestIndex`] answers which subscriptions a subject reaches; [`Generations`] tells the holder of an
//! older answer whether it still stands. A [`Transform`] makes one subject of another, [`Mappings`] do so for
//! an account. A [`SubjectTree`] keeps a value for each of many subjects, a [`SequenceSet`] many sequence
//! numbers in few bytes, a [`SequenceList`] those of one subject, a [`LeafMap`]
//! something small for each, and [`SequenceTimers`] when each is due.
//!
//! Holds no lock, clock, socket or source of randomness: seeds and draws come from the caller. Bytes from
//! strangers never panic here, and no walk over them is recursive. Rules: CORE-38, CORE-48, CORE-54, CORE-93
//! to CORE-112, STORE-53 to STORE-55, STORE-64, STORE-128 to STORE-131.

mod check;
mod filter;
mod generations;
mod hashing;
mod index;
mod leaf_map;
mod mapping;
mod names;
mod pattern;
mod sequence_list;
mod sequence_set;
mod subject;
mod timers;
mod transform;
mod tree;

pub use check::{is_literal, is_valid_literal, is_valid_publish, is_valid_subject, is_valid_subject_strict};
pub use filter::{Filter, FilterBuf};
pub use generations::{Generations, Stamp};
pub use hashing::Hashing;
pub use index::{IndexError, InterestCount, InterestIndex, InterestWatch, Matches, QueueGroup, WatchError};
pub use leaf_map::LeafMap;
pub use mapping::{Choices, MapDestination, Mapped, Mapping, MappingError, Mappings};
pub use names::{AccountName, NameError, QueueName, Sid};
pub use pattern::{collides, is_subset, matches};
pub use sequence_list::SequenceList;
pub use sequence_set::{SequenceSet, SequenceSetError};
pub use subject::{Subject, SubjectBuf, SubjectError, Tokens};
pub use timers::SequenceTimers;
pub use transform::{
    DestinationFault, Draw, NotTransformed, Transform, TransformError, with_placeholders, with_wildcards,
};
pub use tree::SubjectTree;
