//! Subjects, wildcards and the interest index.
//!
//! A [`Subject`] is what a message is published to, a [`Filter`] what a subscription listens on. The
//! [`InterestIndex`] answers which subscriptions a subject reaches; [`Generations`] tells the holder of an
//! older answer whether it still stands.
//!
//! Holds no lock, clock, socket or source of randomness: seeds come from the caller. Bytes from strangers
//! never panic here, and no walk over them is recursive. Rules: CORE-38, CORE-48, CORE-54, CORE-93 to
//! CORE-97, CORE-99, CORE-100, CORE-102.

mod check;
mod filter;
mod generations;
mod hashing;
mod index;
mod mapping;
mod names;
mod pattern;
mod subject;
mod transform;

pub use check::{is_literal, is_valid_literal, is_valid_publish, is_valid_subject, is_valid_subject_strict};
pub use filter::{Filter, FilterBuf};
pub use generations::{Generations, Stamp};
pub use hashing::Hashing;
pub use index::{IndexError, InterestCount, InterestIndex, Matches, QueueGroup};
pub use mapping::{Choices, MapDestination, Mapped, Mapping, MappingError, Mappings};
pub use names::{AccountName, NameError, QueueName, Sid};
pub use pattern::{collides, is_subset, matches};
pub use subject::{Subject, SubjectBuf, SubjectError, Tokens};
pub use transform::{
    DestinationFault, Draw, NotTransformed, Transform, TransformError, with_placeholders, with_wildcards,
};
