//! PROXY protocol, versions 1 and 2: a load balancer says whom it speaks for.
//!
//! [`Decoder`] takes bytes and gives what the header says; it holds no socket. [`receive`] feeds it from a connection,
//! with the reference's two waits. Whoever can reach a listener with `proxy_protocol` may claim any address: the option
//! belongs behind a balancer only. Never asks TLS or the client's protocol anything: what stands behind the header is
//! given back. Rules: CORE-88 to CORE-92.

mod decoder;
mod error;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dunlin_api::{Env, Socket, readable, system_error};

pub use decoder::{Decoder, Header};
pub use error::ProxyError;

/// How long the first bytes of a connection may take, and then the whole header (CORE-88).
const WAIT: Duration = Duration::from_secs(5);

/// Bytes of one read. A header without extensions fits; what it does not hold comes with the next.
const READ: usize = 512;

/// What stood at the front of a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// What the header says.
    pub header: Header,
    /// Bytes behind the header that were read with it; all bytes, where there was no header.
    pub rest: Vec<u8>,
}

impl Received {
    /// The address that the proxy speaks for. `None`: the socket's own peer is the client.
    pub fn source(&self) -> Option<SocketAddr> {
        match self.header {
            Header::Proxied { source, .. } => Some(source),
            Header::Direct | Header::Local => None,
        }
    }
}

/// Reads a header from the front of `stream`; `early` was read from there before. Takes ten seconds at most, and keeps
/// less than 1 KiB however long the header is.
///
/// # Errors
/// What came is no valid header, or it did not come in time. The connection is of no use then.
pub async fn receive(stream: &dyn Socket, env: &Env, early: Vec<u8>) -> Result<Received, ProxyError> {
    let mut decoder = Decoder::default();
    // Who has looked at the connection's first bytes already has waited for them.
    let mut is_late = !early.is_empty();
    let mut bytes = early;
    let mut deadline = env.now() + WAIT;
    loop {
        let mut input = bytes.as_slice();
        if let Some(header) = decoder.decode(&mut input)? {
            let mut rest = decoder.replay();
            rest.extend_from_slice(input);
            return Ok(Received { header, rest });
        }
        if !is_late && decoder.is_header() {
            is_late = true;
            deadline = env.now() + WAIT;
        }
        let left = deadline.saturating_duration_since(env.now());
        match env.timeout(left, read(stream)).await {
            Some(Ok(more)) if !more.is_empty() => bytes = more,
            // In the first wait the reference takes whatever ends it for the end of the stream.
            Some(Err(error)) if is_late => {
                return Err(decoder.unfinished(&place(stream, "read: ", &system_error::reason(&error))));
            }
            Some(_) => return Err(decoder.cut_short()),
            None if is_late => return Err(decoder.unfinished(&place(stream, "", "i/o timeout"))),
            None if !decoder.has_begun() => return Err(decoder.cut_short()),
            None => {
                is_late = true;
                deadline = env.now() + WAIT;
                bytes.clear();
            }
        }
    }
}

/// The next bytes; none at the end of the stream.
async fn read(stream: &dyn Socket) -> io::Result<Vec<u8>> {
    let mut buffer = [0; READ];
    loop {
        readable(stream).await?;
        match stream.try_read(&mut buffer) {
            Ok(count) => return Ok(buffer.get(..count).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// A failed read, in the reference's words.
fn place(stream: &dyn Socket, call: &str, reason: &str) -> String {
    format!("read tcp {}->{}: {call}{reason}", stream.local(), stream.peer())
}
