//! Stores: where streams and consumers keep what they must not lose.
//!
//! A [`StoreBackend`] opens one [`StreamStore`] per stream; that one opens a [`ConsumerStore`] per consumer. Each has
//! one owner, who calls it from one thread at a time. A store holds and finds; it decides nothing: limits, expiry,
//! deduplication and the rules of acks lie with its owner, so that all stores behave alike.
//!
//! **Staged and durable.** A change is *staged* when its call returns: every later read sees it, and
//! [`StreamStore::staged`] names it by a [`Ticket`]. It is *durable* once [`StreamStore::durable`] has reached that
//! ticket, which [`StreamStore::commit`] asks for. Changes become durable in the order in which they were staged.
//! Nothing that is only staged may be shown to a client: that is the owner's part.
//!
//! **Never waiting.** No method waits for a disk, apart from opening, closing and deleting. A question whose answer is
//! not in memory is answered by a job ([`Load::Cold`]) that runs elsewhere; a change that would have to read is prepared
//! by [`StreamStore::warm`]. Default bodies run such jobs in place, so a store that has cold data overrides them.
//!
//! Costs are given in messages of the stream, *n*, for the default bodies; they read every message and are right for
//! small or seldom asked stores.

mod backend;
mod consumer;
mod defaults;
mod error;
mod id;
mod lease;
mod load;
mod message;
mod observer;
mod snapshot;
mod stream;
mod types;

pub use backend::*;
pub use consumer::*;
pub use defaults::matches_any;
pub use error::*;
pub use id::*;
pub use lease::*;
pub use load::*;
pub use message::*;
pub use observer::*;
pub use snapshot::*;
pub use stream::*;
pub use types::*;
