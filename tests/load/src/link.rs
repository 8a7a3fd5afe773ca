//! One connection to the server.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::Channel;
use crate::error::LoadError;
use crate::options::{Login, Options};
use crate::poll::{Edge, Poll};
use crate::tally::{Tally, refusal};

/// What a connection says of itself.
pub(crate) fn connect_line(login: Option<&Login>) -> Vec<u8> {
    let mut connect = serde_json::json!({
        "verbose": false, "pedantic": false, "lang": "dunlin-load", "version": env!("CARGO_PKG_VERSION"),
        "protocol": 1, "echo": true, "headers": true, "no_responders": true,
    });
    if let Some(Login { user, password }) = login {
        connect["user"] = user.as_str().into();
        connect["pass"] = password.as_str().into();
    }
    format!("CONNECT {connect}\r\n").into_bytes()
}

/// How long one step of a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects, logs in, sends `first`, and returns when the server has worked through it. The socket stays blocking.
pub(crate) fn login(options: &Options, login: Option<&Login>, first: &[u8]) -> Result<Channel, LoadError> {
    let stream = TcpStream::connect(options.server).map_err(LoadError::io("connect"))?;
    stream
        .set_nodelay(true)
        .map_err(LoadError::io("set TCP_NODELAY"))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(LoadError::io("set a read deadline"))?;
    let mut channel = Channel::new(stream);
    let mut buffer = [0; 4096];
    let mut tally = Tally::new(1);
    // The server speaks first; its INFO is one line and fits into one read or a few.
    loop {
        let bytes = receive(&mut channel, &mut buffer)?;
        tally.feed(bytes)?;
        if bytes.last() == Some(&b'\n') {
            break;
        }
    }
    if let Some(tls) = &options.tls {
        channel.secure(tls).map_err(LoadError::io("secure"))?;
    }
    let mut hello = connect_line(login);
    hello.extend_from_slice(first);
    hello.extend_from_slice(b"PING\r\n");
    channel.write_all(&hello).map_err(LoadError::io("log in"))?;
    await_pong(&mut channel, &mut tally)?;
    Ok(channel)
}

/// Reads from a blocking socket until one `PONG` more has come.
pub(crate) fn await_pong(channel: &mut Channel, tally: &mut Tally) -> Result<(), LoadError> {
    let mut buffer = [0; 4096];
    let before = tally.pongs;
    while tally.pongs == before {
        tally.feed(receive(channel, &mut buffer)?)?;
    }
    Ok(())
}

fn receive<'b>(channel: &mut Channel, buffer: &'b mut [u8]) -> Result<&'b [u8], LoadError> {
    match channel.read(buffer).map_err(LoadError::io("read"))? {
        0 => Err(LoadError::Closed),
        n => Ok(buffer.get(..n).unwrap_or(&[])),
    }
}

/// A logged-in connection in non-blocking mode, with what the last edges said of it.
#[derive(Debug)]
pub(crate) struct Link {
    channel: Channel,
    /// Bytes may be waiting.
    pub(crate) readable: bool,
    /// The kernel may take bytes.
    pub(crate) writable: bool,
    /// Whole protocol lines that are still to be sent.
    out: Vec<u8>,
    sent: usize,
}

impl Link {
    /// Logs in, sends `first`, and registers the connection under `token`.
    pub(crate) fn open(
        options: &Options,
        credentials: Option<&Login>,
        poll: &Poll,
        token: usize,
        first: &[u8],
    ) -> Result<Link, LoadError> {
        Link::of(login(options, credentials, first)?, poll, token)
    }

    /// Registers a connection that has not said anything yet.
    pub(crate) fn fresh(stream: TcpStream, poll: &Poll, token: usize) -> Result<Link, LoadError> {
        stream
            .set_nodelay(true)
            .map_err(LoadError::io("set TCP_NODELAY"))?;
        Link::of(Channel::new(stream), poll, token)
    }

    fn of(channel: Channel, poll: &Poll, token: usize) -> Result<Link, LoadError> {
        channel
            .socket()
            .set_nonblocking(true)
            .map_err(LoadError::io("make a socket non-blocking"))?;
        poll.add(channel.socket(), token)?;
        Ok(Link {
            channel,
            readable: true,
            writable: true,
            out: Vec::new(),
            sent: 0,
        })
    }

    /// Goes on through TLS.
    pub(crate) fn secure(&mut self, tls: &Arc<rustls::ClientConfig>) -> Result<(), LoadError> {
        self.channel.secure(tls).map_err(LoadError::io("secure"))
    }

    /// Remembers an edge.
    pub(crate) fn edge(&mut self, edge: Edge) {
        self.readable |= edge.readable;
        self.writable |= edge.writable;
    }

    /// One read. `None`: nothing is waiting, an edge will tell.
    pub(crate) fn read<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, LoadError> {
        match self.channel.read(buffer) {
            Ok(0) => Err(LoadError::Closed),
            Ok(n) => {
                // A short read emptied the socket: whatever comes later makes a new edge. Of TLS it was one record.
                self.readable = n == buffer.len() || self.channel.is_secured();
                Ok(buffer.get(..n))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(LoadError::io("read")(error)),
        }
    }

    /// One write past the queue. Returns how many bytes the kernel took, 0 when it is full.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, LoadError> {
        match self.channel.write(bytes) {
            Ok(n) => {
                // TLS takes a record at a time, and says when the kernel is full.
                self.writable = n == bytes.len() || self.channel.is_secured();
                Ok(n)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(0)
            }
            Err(error) => Err(self.farewell(error)),
        }
    }

    /// A server that ends a connection says why before it closes: that tells more than the failed write.
    fn farewell(&mut self, error: std::io::Error) -> LoadError {
        let mut rest = vec![0; 64 * 1024];
        let read = self.channel.read(&mut rest).unwrap_or(0);
        let lines = rest.get(..read).unwrap_or(&[]).split(|byte| *byte == b'\n');
        match lines
            .map(<[u8]>::trim_ascii)
            .find(|line| line.starts_with(b"-ERR"))
        {
            Some(line) => refusal(line),
            None => LoadError::io("write")(error),
        }
    }

    /// Whole lines to be sent by [`flush`](Link::flush).
    pub(crate) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Sends what is queued as far as the kernel takes it. True when nothing is left.
    pub(crate) fn flush(&mut self) -> Result<bool, LoadError> {
        if self.out.is_empty() {
            return self.channel.push().map_err(LoadError::io("write"));
        }
        if !self.writable {
            return Ok(false);
        }
        let out = std::mem::take(&mut self.out);
        let took = self.write(out.get(self.sent..).unwrap_or(&[]));
        self.out = out;
        self.sent += took?;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        Ok(self.out.is_empty())
    }
}
