//! Transports, accept loops and the output queue: everything between the broker and a peer's bytes.
//!
//! [`TcpNetwork`] is the machine's network, [`sim`] one in memory for tests; both stand behind `dunlin_api::Network`.
//! [`serve`] binds a listener's endpoints, places each accepted connection on a shard and runs its session there.
//! [`pipe()`] makes a connection in memory for a client of the process itself. [`output`] writes what sessions are to be
//! told. [`WaitingRoom`] bounds the connections that have not logged in, [`proxy`] reads whom a load balancer speaks
//! for. Knows no protocol of clients.

pub mod output;
pub mod proxy;
pub mod sim;
pub mod tls;

mod accept;
mod address;
mod pipe;
mod tcp;
#[cfg(test)]
mod test_streams;
mod waiting;

pub use accept::{Serving, serve, serve_in_process};
pub use address::{AddressError, connect_addresses, host_and_port, host_port};
pub use pipe::{PipeSocket, PipeStream, pipe};
pub use tcp::TcpNetwork;
pub use waiting::{Seat, WaitingRoom};
