//! TLS, as the server's side of a connection.
//!
//! [`ServerTls`] is what a `tls` block asks for, with its files read; [`TlsStream`] is a byte stream in clear that a
//! handshake secures in place. Protocols decide when that is: before their greeting, after it, or by the first byte.
//! Knows no protocol, and touches files only in [`ServerTls::load`]. Rules: CORE-8 to CORE-11, AUTH-300 to AUTH-308.

mod certificates;
mod error;
mod names;
mod provider;
mod rate;
mod server;
mod session;
mod stream;
mod verifier;

#[cfg(test)]
mod tests;

pub use error::{HandshakeError, TlsError};
pub use rate::RateLimit;
pub use server::ServerTls;
pub use session::Agreed;
pub use stream::TlsStream;
