//! Accounts, interest and delivery: the hot path from publish to deliver.
//!
//! [`Router`] implements [`dunlin_api::BrokerCore`]. It knows no protocol and no socket: a session is whoever
//! implements [`dunlin_api::Deliver`], and one function walks every route, whatever the origin. In steady state a
//! run of messages costs one cached lookup and one append per receiver, and allocates nothing.
//!
//! Locks, none of which is held while another is taken (the rebuild of an index after a panic excepted): an
//! account's interest, its members, a member's subscriptions, the list of connections. There is no server-wide lock on
//! the path.

mod account;
mod cache;
mod connections;
mod deliver;
mod grants;
mod mapping;
mod member;
mod permissions;
mod permit;
mod reload;
mod router;
mod session;
mod sids;

pub use account::AccountTotals;
pub use connections::{ClientError, ClosedConnection, ConnectionRecord, KindCount, SubscriptionRecord};
pub use member::Traffic;
pub use router::{Router, Totals};
