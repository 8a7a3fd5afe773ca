//! One secured connection: ciphertext in, plaintext out, and back.
//!
//! Wraps rustls without its buffers: records are decrypted in the reader's own buffer and encrypted one at a time, so
//! that an idle connection keeps no buffer and a busy one copies little. Holds no lock and waits for nothing.

use std::io::{self, IoSlice};
use std::sync::Arc;

use dunlin_api::Socket;
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{ProtocolVersion, ServerConfig};

use super::provider;

/// Most plaintext of one record.
const RECORD: usize = 16 * 1024;

/// Longest record on the wire (RFC 5246: plaintext, 2,048 of expansion, and its header).
pub(super) const WIRE_RECORD: usize = RECORD + 2048 + 5;

/// What a record adds to its plaintext at most, with every cipher that we have, and room for a queued key update.
const OVERHEAD: usize = 128;

/// Ciphertext buffers above this size are given back when they are empty.
const KEPT: usize = 1024;

/// Longest handshake message with its records' headers: what a peer may have us hold before it is known.
const HANDSHAKE: usize = 64 * 1024 + WIRE_RECORD;

/// What a handshake agreed on, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// IANA name of the cipher suite.
    pub cipher: &'static str,
}

/// State of one connection's TLS.
pub(super) struct Session {
    connection: UnbufferedServerConnection,
    /// The beginning of a record whose end has not come yet.
    partial: Vec<u8>,
    /// Ciphertext; what lies behind `sent` has still to be written, before anything else.
    outgoing: Vec<u8>,
    sent: usize,
    /// Plaintext bytes in `outgoing` that the writer has not been told of. It offers them again.
    owed: usize,
    is_ended: bool,
    /// What ended it. rustls is not asked again: it keeps places in input that is gone.
    failure: Option<rustls::Error>,
}

impl Session {
    /// The beginning of a handshake; `first` has been read already.
    pub(super) fn new(config: Arc<ServerConfig>, first: Vec<u8>) -> Result<Self, rustls::Error> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config)?,
            partial: first,
            outgoing: Vec::new(),
            sent: 0,
            owed: 0,
            is_ended: false,
            failure: None,
        })
    }

    /// Bytes that have come and are not processed.
    pub(super) fn pending_input(&self) -> &[u8] {
        &self.partial
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Certificates of the peer, leaf first, once verified; empty when none was asked for.
    pub(super) fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    pub(super) fn agreed(&self) -> Agreed {
        Agreed {
            version: match self.connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "1.3",
                _ => "1.2",
            },
            cipher: self
                .connection
                .negotiated_cipher_suite()
                .map_or("", |suite| provider::cipher_name(&suite)),
        }
    }

    /// Reads more of the handshake; false at the peer's end.
    pub(super) fn read_handshake(&mut self, inner: &dyn Socket) -> io::Result<bool> {
        let held = self.partial.len();
        if held >= HANDSHAKE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the handshake is too long",
            ));
        }
        self.partial.resize(held + 4096, 0);
        let read = inner.try_read(self.partial.get_mut(held..).unwrap_or_default());
        self.partial.truncate(held + read.as_ref().copied().unwrap_or(0));
        Ok(read? > 0)
    }

    /// Takes the handshake as far as the bytes that are there allow. Plaintext that came with its end goes to `early`.
    pub(super) fn advance(&mut self, early: &mut Vec<u8>) -> Result<(), rustls::Error> {
        let mut input = std::mem::take(&mut self.partial);
        let used = self.process(&mut input, |plain| early.extend_from_slice(plain))?;
        input.drain(..used);
        // The room of a handshake is not needed again.
        self.partial = if input.is_empty() { Vec::new() } else { input };
        Ok(())
    }

    /// Reads what is there into `buffer`, which must have room for two records. `Ok(0)` is the peer's end.
    pub(super) fn read(&mut self, inner: &dyn Socket, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(failure) = &self.failure {
            return Err(io::Error::new(io::ErrorKind::InvalidData, failure.clone()));
        }
        if self.is_ended {
            return Ok(0);
        }
        // Ciphertext goes to the back, plaintext to the front; it is never longer.
        let (front, back) = buffer.split_at_mut(buffer.len() / 2);
        let held = self.partial.len();
        let (kept, free) = back
            .split_at_mut_checked(held)
            .filter(|(_, free)| !free.is_empty())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message is too long"))?;
        kept.copy_from_slice(&self.partial);
        let count = inner.try_read(free)?;
        if count == 0 {
            self.is_ended = true;
            // An end between records is taken for an end, as the reference does.
            return if held == 0 {
                Ok(0)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let input = back.get_mut(..held + count).unwrap_or_default();
        let mut written = 0;
        let result = self.process(input, |plain| {
            if let Some(place) = front.get_mut(written..written + plain.len()) {
                place.copy_from_slice(plain);
                written += plain.len();
            }
        });
        let rest = result.as_ref().ok().and_then(|used| input.get(*used..));
        self.partial.clear();
        self.partial.extend_from_slice(rest.unwrap_or_default());
        if self.partial.is_empty() && self.partial.capacity() > KEPT {
            self.partial = Vec::new();
        }
        // Answers to key updates, or the alert. What the stream does not take now precedes the next write.
        let answered = self.send(inner);
        match (result, written) {
            (Ok(_), 0) if self.is_ended => Ok(0),
            (Ok(_), 0) => match answered {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            },
            // A failure behind plaintext shows at the next read.
            (_, 1..) => Ok(written),
            (Err(error), 0) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// Encrypts up to one record of `parts` and writes it. `WouldBlock` also means that part of the ciphertext is not
    /// written yet: the caller must offer the same bytes again.
    pub(super) fn write(&mut self, inner: &dyn Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(inner)?;
        if self.owed > 0 {
            return Ok(std::mem::take(&mut self.owed));
        }
        let taken = match parts {
            [] => 0,
            [only] => self.encrypt(only.get(..RECORD).unwrap_or(only))?,
            [first, ..] if first.len() >= RECORD => self.encrypt(first.get(..RECORD).unwrap_or(first))?,
            many => self.encrypt(&gather(many))?,
        };
        match self.send(inner) {
            Ok(()) => Ok(taken),
            Err(error) => {
                self.owed = taken;
                Err(error)
            }
        }
    }

    /// Says goodbye, if nothing is half-written.
    pub(super) fn close(&mut self, inner: &dyn Socket) {
        if !self.outgoing.is_empty() || self.is_handshaking() {
            return;
        }
        let mut goodbye = |traffic: &mut Traffic<'_>, space: &mut [u8]| traffic.queue_close_notify(space);
        if self.append_record(OVERHEAD, &mut goodbye).is_ok() {
            // The peer may not read any more.
            let _ = self.send(inner);
        }
    }

    /// Writes ciphertext until none is left.
    ///
    /// # Errors
    /// `WouldBlock` when some is left, or the stream's failure.
    pub(super) fn send(&mut self, inner: &dyn Socket) -> io::Result<()> {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match inner.try_write_vectored(&[IoSlice::new(rest)])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.sent += count,
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        if self.outgoing.capacity() > KEPT {
            self.outgoing = Vec::new();
        }
        Ok(())
    }

    fn encrypt(&mut self, plain: &[u8]) -> io::Result<usize> {
        let mut encrypt = |traffic: &mut Traffic<'_>, space: &mut [u8]| traffic.encrypt(plain, space);
        self.append_record(plain.len() + OVERHEAD, &mut encrypt)?;
        Ok(plain.len())
    }

    /// Lets `make` put at most `room` bytes behind what is outgoing.
    fn append_record(&mut self, room: usize, make: &mut MakeRecord<'_>) -> io::Result<()> {
        while self.failure.is_none() {
            // rustls looks at the unfinished input again, since it keeps places in it; nothing new is found there.
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.partial);
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let made = append(&mut self.outgoing, room, |space| make(&mut traffic, space));
                    return made.map_err(io::Error::other);
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.outgoing, |space| data.encode(space));
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_ended = true,
                Ok(_) => break,
                Err(error) => self.failure = Some(error),
            }
            self.partial.drain(..discard);
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    /// Processes the whole records in `input`; plaintext goes to `take`, answers to `outgoing`. Returns how many bytes
    /// of `input` are done with. After an error the alert is in `outgoing`.
    fn process(&mut self, input: &mut [u8], mut take: impl FnMut(&[u8])) -> Result<usize, rustls::Error> {
        let mut used = 0;
        loop {
            let rest = input.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(rest);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        take(record?.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.outgoing, |space| data.encode(space));
                }
                // What is in `outgoing` is written in its turn, before anything else.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_ended = true,
                // Early data is not offered to anybody.
                Ok(_) => return Ok(used + discard),
                Err(error) => {
                    self.failure = Some(error.clone());
                    self.take_alert(input.get_mut(used..).unwrap_or_default());
                    return Err(error);
                }
            }
            used += discard;
        }
    }

    /// What rustls has to tell the peer about a failure. It is asked with the same input, and no more often than it has
    /// something to say.
    fn take_alert(&mut self, input: &mut [u8]) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(input).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.outgoing, |space| data.encode(space));
                }
                _ => return,
            }
        }
    }
}

type Traffic<'a> = WriteTraffic<'a, ServerConnectionData>;

/// Puts a record into the space given, and says how long it is.
type MakeRecord<'a> = dyn FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError> + 'a;

/// Lets `fill` write at most `room` bytes behind `buffer`'s end; takes them back when it has not.
fn append<E>(
    buffer: &mut Vec<u8>,
    room: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<(), E> {
    let end = buffer.len();
    buffer.resize(end + room, 0);
    let written = fill(buffer.get_mut(end..).unwrap_or_default());
    buffer.truncate(end + written.as_ref().copied().unwrap_or(0));
    written.map(|_| ())
}

/// Appends what rustls has ready.
fn encode(buffer: &mut Vec<u8>, mut data: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    if let Err(EncodeError::InsufficientSize(size)) = data(&mut []) {
        // There is room enough now.
        let _ = append(buffer, size.required_size, data);
    }
}

/// One record's worth of the front of `parts`.
fn gather(parts: &[IoSlice<'_>]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>().min(RECORD);
    let mut plain = Vec::with_capacity(len);
    for part in parts {
        let left = len - plain.len();
        plain.extend_from_slice(part.get(..left).unwrap_or(part));
    }
    plain
}
