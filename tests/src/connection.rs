//! A raw client connection: sends any bytes, reads whole frames as the server sent them.
//!
//! It never answers by itself and repairs nothing, so what a test sees is what was on the wire.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::tls::{self, Introduction, Secured};

/// How long a read may take. Only a server that does not answer gets there.
const PATIENCE: Duration = Duration::from_secs(15);

/// One protocol operation of the server, with its payload and all line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// The bytes of the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes without the final line end. `None`: they do not end in CRLF.
    pub fn body(&self) -> Option<&[u8]> {
        self.0.strip_suffix(b"\r\n")
    }

    /// The operation, such as `MSG`.
    pub fn verb(&self) -> &[u8] {
        self.0
            .split(|byte| byte.is_ascii_whitespace())
            .next()
            .unwrap_or_default()
    }

    /// Whether it carries a message.
    pub fn is_message(&self) -> bool {
        matches!(self.verb(), b"MSG" | b"HMSG")
    }
}

/// What comes next from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole frame.
    Frame(Frame),
    /// The connection ended; with the bytes of a frame that never became whole.
    Closed(Vec<u8>),
}

/// A connection to a server under test.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    pending: Vec<u8>,
    closed: bool,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Secured(Box<Secured>),
    /// A handshake failed.
    Lost,
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Secured(stream) => stream.read(buffer),
            Stream::Lost => Ok(0),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Secured(stream) => stream.write_all(bytes),
            Stream::Lost => Ok(()),
        }
    }
}

impl Connection {
    /// Connects and reads nothing yet.
    ///
    /// # Errors
    /// What the socket says.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection {
            stream: Stream::Plain(stream),
            pending: Vec::new(),
            closed: false,
        })
    }

    /// Runs a handshake, trusting the authority in `folder`; returns the version of TLS that was agreed on. What was
    /// read before and not asked for is forgotten.
    ///
    /// # Errors
    /// Why there is no secured connection; what comes next is its end.
    pub fn secure(&mut self, folder: &Path, client: &Introduction) -> Result<&'static str, String> {
        match std::mem::replace(&mut self.stream, Stream::Lost) {
            Stream::Plain(socket) => {
                let (stream, version) = tls::secure(socket, folder, client)?;
                self.stream = Stream::Secured(Box::new(stream));
                Ok(version)
            }
            _ => Err("the connection is secured already".to_owned()),
        }
    }

    /// Sends bytes. A connection that the server has closed takes them silently, since how soon a client learns of
    /// that is a matter of time: the next [`Connection::read`] tells it.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]: the server sent none in time.
    pub fn read(&mut self) -> io::Result<Event> {
        loop {
            if let Some(size) = frame_size(&self.pending) {
                let rest = self.pending.split_off(size);
                return Ok(Event::Frame(Frame(std::mem::replace(&mut self.pending, rest))));
            }
            if self.closed {
                return Ok(Event::Closed(std::mem::take(&mut self.pending)));
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(size) => self.pending.extend(buffer.iter().take(size)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let so_far = String::from_utf8_lossy(&self.pending).into_owned();
                    return Err(io::Error::new(
                        ErrorKind::TimedOut,
                        format!("nothing more came after {so_far:?}"),
                    ));
                }
                // A server that closes with unread bytes in its socket resets the connection.
                Err(_) => self.closed = true,
            }
        }
    }
}

/// The size of the first frame. `None`: it is not whole yet.
fn frame_size(bytes: &[u8]) -> Option<usize> {
    let line = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let words = bytes.get(..line)?;
    let carries = words.starts_with(b"MSG ") || words.starts_with(b"HMSG ");
    if !carries {
        return Some(line);
    }
    let digits = words
        .trim_ascii_end()
        .rsplit(|byte| *byte == b' ')
        .next()
        .unwrap_or_default();
    let payload: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let size = line.checked_add(payload)?.checked_add(2)?;
    (bytes.len() >= size).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::frame_size;

    #[test]
    fn frame_is_whole_with_its_payload_and_line_end() {
        assert_eq!(frame_size(b"PONG\r\nPING"), Some(6));
        assert_eq!(frame_size(b"PONG\r"), None);
        assert_eq!(frame_size(b"MSG foo 1 2\r\nok\r\n+OK"), Some(17));
        assert_eq!(frame_size(b"MSG foo 1 2\r\nok\r"), None);
        assert_eq!(frame_size(b"HMSG _R 99  2 2\r\nok\r\n"), Some(21));
    }
}
