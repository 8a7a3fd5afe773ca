//! A byte stream that may become secure on the way.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_api::{ByteStream, Env, Socket, TlsPeer, readable, writable};
use parking_lot::Mutex;

use super::error::HandshakeError;
use super::server::ServerTls;
use super::session::{Agreed, Session, WIRE_RECORD};
use super::{names, verifier};

/// A reader with less room than this is served from a buffer of our own.
const ROOM: usize = 2 * WIRE_RECORD;

/// A stream in clear that [`TlsStream::accept`] secures in place, so that whoever holds it need not learn of the change.
///
/// The session sits in one small mutex: the reader takes it to decrypt, the output's holder to encrypt, one record at
/// once. Neither takes another lock inside. In clear it costs one load of an atomic.
pub struct TlsStream {
    inner: ByteStream,
    session: OnceLock<Box<Mutex<Session>>>,
    /// Bytes that were read before anybody asked for them.
    ahead: Mutex<Vec<u8>>,
    /// Touched by the reader alone.
    has_ahead: AtomicBool,
}

impl TlsStream {
    /// Over `inner`, in clear for now.
    pub fn new(inner: ByteStream) -> Arc<Self> {
        Arc::new(Self {
            inner,
            session: OnceLock::new(),
            ahead: Mutex::default(),
            has_ahead: AtomicBool::new(false),
        })
    }

    /// Waits until `count` bytes are there, the peer has ended, or `limit` has passed; returns the first of them, if
    /// any came. They stay to be read. Only before [`TlsStream::accept`], by the reader.
    pub async fn first_byte(&self, count: usize, limit: Duration, env: &Env) -> Option<u8> {
        let mut bytes = std::mem::take(&mut *self.ahead.lock());
        // Whatever ends the wait shows again to the one who reads on.
        let _ = env.timeout(limit, self.fill(&mut bytes, count)).await;
        let first = bytes.first().copied();
        self.put_ahead(bytes);
        first
    }

    /// Puts bytes back in front of what is to be read. As [`TlsStream::first_byte`].
    pub fn unread(&self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(&self.ahead.lock());
        self.put_ahead(bytes);
    }

    async fn fill(&self, bytes: &mut Vec<u8>, count: usize) -> io::Result<()> {
        while bytes.len() < count {
            readable(self.inner.as_ref()).await?;
            let mut space = [0; 16];
            let room = space.get_mut(..count - bytes.len()).unwrap_or_default();
            match self.inner.try_read(room) {
                Ok(0) => return Ok(()),
                Ok(read) => bytes.extend_from_slice(room.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs the server's side of a handshake. The stream is secure from then on; what has been read ahead belongs to
    /// the handshake. Nobody else may write meanwhile.
    ///
    /// # Errors
    /// Why there is no secure connection; the peer has been told where TLS has words for it. The stream is of no
    /// further use.
    pub async fn accept(&self, tls: &ServerTls, env: &Env) -> Result<Agreed, HandshakeError> {
        let handshake = self.shake_hands(tls);
        env.timeout(tls.timeout(), handshake)
            .await
            .unwrap_or(Err(HandshakeError::Timeout))
    }

    async fn shake_hands(&self, tls: &ServerTls) -> Result<Agreed, HandshakeError> {
        let first = std::mem::take(&mut *self.ahead.lock());
        self.has_ahead.store(false, Relaxed);
        let mut session = Session::new(tls.config(), first)?;
        let mut early = Vec::new();
        while !begins_like_tls(session.pending_input())? {
            self.read_handshake(&mut session).await?;
        }
        loop {
            let advanced = verifier::noting_refusals(|| session.advance(&mut early));
            // An alert may be among it. If it does not get through, the reason is still the first error.
            let sent = self.send(&mut session).await;
            advanced?;
            sent?;
            if !session.is_handshaking() {
                break;
            }
            self.read_handshake(&mut session).await?;
        }
        tls.check_pins(session.peer_certificates())?;
        let agreed = session.agreed();
        self.put_ahead(early);
        // Only this task gets here, once: a second handshake would have nothing to begin with.
        let _ = self.session.set(Box::new(Mutex::new(session)));
        Ok(agreed)
    }

    async fn read_handshake(&self, session: &mut Session) -> Result<(), HandshakeError> {
        loop {
            readable(self.inner.as_ref()).await?;
            return match session.read_handshake(self.inner.as_ref()) {
                Ok(true) => Ok(()),
                Ok(false) if session.pending_input().is_empty() => Err(HandshakeError::Ended),
                Ok(false) => Err(HandshakeError::CutShort),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Writes what the handshake has to say.
    async fn send(&self, session: &mut Session) -> io::Result<()> {
        loop {
            match session.send(self.inner.as_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    writable(self.inner.as_ref()).await?;
                }
                done => return done,
            }
        }
    }

    /// What the handshake showed of the peer; `None` in clear. Reads the certificate anew at each call.
    pub fn peer_identity(&self) -> Option<TlsPeer> {
        let session = self.session.get()?.lock();
        let certificates = session.peer_certificates();
        Some(TlsPeer {
            certificates: certificates.iter().map(|one| one.to_vec()).collect(),
            names: certificates
                .first()
                .map(|leaf| names::of(leaf))
                .unwrap_or_default(),
        })
    }

    /// Whether `tls` would accept this peer's certificate as well: for connections that live through a reload. True in
    /// clear.
    pub fn keeps_pins(&self, tls: &ServerTls) -> bool {
        self.session
            .get()
            .is_none_or(|session| tls.check_pins(session.lock().peer_certificates()).is_ok())
    }

    fn put_ahead(&self, bytes: Vec<u8>) {
        self.has_ahead.store(!bytes.is_empty(), Relaxed);
        *self.ahead.lock() = bytes;
    }

    fn take_ahead(&self, buffer: &mut [u8]) -> usize {
        let mut ahead = self.ahead.lock();
        let count = buffer.len().min(ahead.len());
        let (now, _) = ahead.split_at(count);
        if let Some(place) = buffer.get_mut(..count) {
            place.copy_from_slice(now);
        }
        ahead.drain(..count);
        if ahead.is_empty() {
            *ahead = Vec::new();
            self.has_ahead.store(false, Relaxed);
        }
        count
    }

    /// For readers with little room: whole records are read aside, and handed out as they fit.
    fn read_aside(&self, session: &Mutex<Session>, buffer: &mut [u8]) -> io::Result<usize> {
        let mut aside = vec![0; ROOM];
        let count = session.lock().read(self.inner.as_ref(), &mut aside)?;
        aside.truncate(count);
        self.put_ahead(aside);
        Ok(self.take_ahead(buffer))
    }
}

/// Whether the first record's header is one of TLS; false when there are too few bytes to tell. What speaks something else
/// is not answered.
fn begins_like_tls(bytes: &[u8]) -> Result<bool, HandshakeError> {
    const ALERT: u8 = 0x15;
    const HANDSHAKE: u8 = 0x16;
    match bytes {
        [ALERT | HANDSHAKE, ..0x10, _, _, _, ..] => Ok(true),
        [_, _, _, _, _, ..] => Err(HandshakeError::NotTls),
        _ => Ok(false),
    }
}

impl Socket for TlsStream {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_ahead.load(Relaxed) {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_read_ready(cx)
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_ahead.load(Relaxed) {
            return Ok(self.take_ahead(buffer));
        }
        match self.session.get() {
            None => self.inner.try_read(buffer),
            Some(session) if buffer.len() >= ROOM => session.lock().read(self.inner.as_ref(), buffer),
            Some(session) => self.read_aside(session, buffer),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_write_ready(cx)
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.session.get() {
            None => self.inner.try_write_vectored(parts),
            Some(session) => session.lock().write(self.inner.as_ref(), parts),
        }
    }

    fn shutdown(&self) {
        if let Some(session) = self.session.get() {
            session.lock().close(self.inner.as_ref());
        }
        self.inner.shutdown();
    }

    fn peer(&self) -> SocketAddr {
        self.inner.peer()
    }
}
