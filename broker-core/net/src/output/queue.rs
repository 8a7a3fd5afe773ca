//! What an output holds, and the rules by which its holder writes it: no socket, no lock, no clock.
//!
//! Any thread appends under the lock. Whoever finds the queue without a *holder* becomes it, takes the chunks,
//! writes them without the lock, and looks again. Only the holder touches the socket, so bytes cannot cross. A
//! holder that is pushed back by the socket keeps the place and hands it to the writer task. These rules are
//! model-checked (`tests/flush_model.rs`), since tests on one thread cannot see a torn interleaving.

use std::io::{self, IoSlice};

use dunlin_api::{ChunkPool, CloseReason};
use smallvec::SmallVec;

/// Parts of one vectored write.
const PARTS: usize = 64;

/// Times that a flush looks for new bytes before it leaves the rest to the writer task, so that one busy output
/// does not keep its flusher from the others.
const ROUNDS: usize = 3;

/// Pending output of one connection.
#[derive(Default)]
pub struct Queue {
    chunks: Chunks,
    /// Bytes appended and not yet written, the holder's included.
    pending: usize,
    has_holder: bool,
    is_noted: bool,
    close: Option<CloseReason>,
    is_shut: bool,
}

/// One chunk lies in the list itself: most flushes need no more, and an idle connection keeps no room for others.
type Chunks = SmallVec<[Chunk; 1]>;

struct Chunk {
    bytes: Vec<u8>,
    sent: usize,
}

/// A place in the queue to go back to.
#[derive(Clone, Copy)]
pub struct Mark {
    chunks: usize,
    last_len: usize,
    pending: usize,
}

impl Queue {
    /// Copies `bytes` to the end.
    pub fn put(&mut self, mut bytes: &[u8], pool: &mut ChunkPool) {
        self.pending += bytes.len();
        while !bytes.is_empty() {
            let room = self
                .chunks
                .last()
                .map_or(0, |chunk| chunk.bytes.capacity() - chunk.bytes.len());
            if room == 0 {
                let has_backlog = !self.chunks.is_empty();
                self.chunks.push(Chunk {
                    bytes: pool.take(has_backlog),
                    sent: 0,
                });
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(chunk) = self.chunks.last_mut() {
                chunk.bytes.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    /// Copies `pieces` to the end, one after the other; looks for room once if they fit into the last chunk.
    #[inline]
    pub fn put_all(&mut self, pieces: &[&[u8]], pool: &mut ChunkPool) {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if let Some(chunk) = self
            .chunks
            .last_mut()
            .filter(|chunk| chunk.bytes.capacity() - chunk.bytes.len() >= len)
        {
            for piece in pieces {
                chunk.bytes.extend_from_slice(piece);
            }
            self.pending += len;
            return;
        }
        for piece in pieces {
            self.put(piece, pool);
        }
    }

    /// Where the queue ends now.
    pub fn mark(&self) -> Mark {
        Mark {
            chunks: self.chunks.len(),
            last_len: self.chunks.last().map_or(0, |chunk| chunk.bytes.len()),
            pending: self.pending,
        }
    }

    /// Takes back what was appended since `mark`, under the same lock.
    pub fn roll_back(&mut self, mark: Mark) {
        self.chunks.truncate(mark.chunks);
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.bytes.truncate(mark.last_len);
        }
        self.pending = mark.pending;
    }

    /// Bytes appended and not yet written.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Why the connection is to close, once it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close
    }

    /// Notes that a turn will flush this; false when one will already.
    pub fn note(&mut self) -> bool {
        !std::mem::replace(&mut self.is_noted, true)
    }

    /// Asks for the end; the first reason wins. Reasons that make writing pointless drop what is pending (CORE-50).
    pub fn close(&mut self, reason: CloseReason) {
        if self.close.is_some() {
            return;
        }
        self.close = Some(reason);
        if !flushes_at_close(reason) {
            self.discard();
        }
    }

    fn discard(&mut self) {
        let dropped: usize = self
            .chunks
            .drain(..)
            .map(|chunk| chunk.bytes.len() - chunk.sent)
            .sum();
        self.pending = self.pending.saturating_sub(dropped);
    }

    /// Makes the caller the holder, unless there is one or nothing to do.
    fn claim(&mut self) -> Option<Chunks> {
        self.is_noted = false;
        let has_work = !self.chunks.is_empty() || (self.close.is_some() && !self.is_shut);
        if self.has_holder || !has_work {
            return None;
        }
        self.has_holder = true;
        Some(self.take_chunks())
    }

    fn take_chunks(&mut self) -> Chunks {
        std::mem::take(&mut self.chunks)
    }

    /// The holder reports `written` bytes and an emptied list, gets what has come meanwhile in exchange, and learns how
    /// to go on. The emptied list stays for its room, if it has any.
    fn after_write(&mut self, written: usize, chunks: &mut Chunks) -> Next {
        self.pending = self.pending.saturating_sub(written);
        std::mem::swap(&mut self.chunks, chunks);
        if !chunks.is_empty() {
            return Next::More;
        }
        self.has_holder = false;
        if self.close.is_some() && !self.is_shut {
            self.is_shut = true;
            return Next::Shut;
        }
        Next::Rest
    }

    /// The holder was pushed back: what it could not write goes to the front. It stays the holder.
    fn put_back(&mut self, written: usize, mut unsent: Chunks) {
        self.pending = self.pending.saturating_sub(written);
        if self.close.is_some_and(|reason| !flushes_at_close(reason)) {
            self.pending = 0;
            return;
        }
        unsent.append(&mut self.chunks);
        self.chunks = unsent;
    }

    /// The holder gives up: the socket failed, or the holder panicked.
    pub fn fail(&mut self, reason: CloseReason) {
        self.close.get_or_insert(reason);
        self.discard();
        self.pending = 0;
        self.has_holder = false;
        self.is_shut = true;
    }
}

enum Next {
    More,
    Rest,
    Shut,
}

/// Whether what is pending is still worth writing when a connection closes for `reason` (CORE-50).
pub(super) fn flushes_at_close(reason: CloseReason) -> bool {
    !matches!(
        reason,
        CloseReason::ReadError
            | CloseReason::WriteError
            | CloseReason::SlowConsumerPendingBytes
            | CloseReason::SlowConsumerWriteDeadline
            | CloseReason::TlsHandshakeError
            | CloseReason::InternalError
    )
}

/// Access to a queue under its lock. A trait, so that the model checker runs the same code with its own lock.
pub trait Shared {
    /// Runs `work` under the lock.
    fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R;
}

/// How a flush ended.
#[derive(Debug)]
pub enum FlushEnd {
    /// Nothing left, or another holder sees to it.
    Done,
    /// The socket takes no more now, or there is no end to the bytes; so many have been written. The caller is still
    /// the holder and must pass that on.
    Blocked(usize),
    /// All is written and the connection is to close: shut the socket down.
    Shut,
    /// The socket failed; the queue is closed.
    Failed(io::Error),
}

/// Flushes as the holder, if there is none yet.
pub fn flush(
    queue: &impl Shared,
    pool: &mut ChunkPool,
    write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> FlushEnd {
    match queue.with(Queue::claim) {
        Some(chunks) => write_out(queue, chunks, pool, write),
        None => FlushEnd::Done,
    }
}

/// Goes on as the holder that [`FlushEnd::Blocked`] left.
pub fn resume(
    queue: &impl Shared,
    pool: &mut ChunkPool,
    write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> FlushEnd {
    let chunks = queue.with(Queue::take_chunks);
    write_out(queue, chunks, pool, write)
}

fn write_out(
    queue: &impl Shared,
    mut chunks: Chunks,
    pool: &mut ChunkPool,
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> FlushEnd {
    let mut before = 0;
    for _ in 0..ROUNDS {
        let mut written = 0;
        while !chunks.is_empty() {
            match write_some(&chunks, &mut write) {
                Ok(count) => {
                    written += count;
                    advance(&mut chunks, count, pool);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    queue.with(|queue| queue.put_back(written, chunks));
                    return FlushEnd::Blocked(before + written);
                }
                Err(error) => {
                    queue.with(|queue| queue.fail(CloseReason::WriteError));
                    return FlushEnd::Failed(error);
                }
            }
        }
        before += written;
        match queue.with(|queue| queue.after_write(written, &mut chunks)) {
            Next::Rest => return FlushEnd::Done,
            Next::Shut => return FlushEnd::Shut,
            Next::More => {}
        }
    }
    queue.with(|queue| queue.put_back(0, chunks));
    FlushEnd::Blocked(before)
}

fn write_some(
    chunks: &Chunks,
    write: &mut impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut parts = [IoSlice::new(&[]); PARTS];
    let mut count = 0;
    for (part, chunk) in parts.iter_mut().zip(chunks) {
        *part = IoSlice::new(chunk.bytes.get(chunk.sent..).unwrap_or_default());
        count += 1;
    }
    match write(parts.get(..count).unwrap_or_default()) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        result => result,
    }
}

fn advance(chunks: &mut Chunks, mut count: usize, pool: &mut ChunkPool) {
    let mut done = 0;
    for chunk in chunks.iter_mut() {
        let left = chunk.bytes.len() - chunk.sent;
        if count < left {
            chunk.sent += count;
            break;
        }
        count -= left;
        done += 1;
    }
    // Together, since the rest moves up: one move for a write of many chunks.
    for emptied in chunks.drain(..done) {
        pool.give(emptied.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Default)]
    struct Alone(RefCell<Queue>);

    impl Shared for Alone {
        fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
            work(&mut self.0.borrow_mut())
        }
    }

    // CORE-65 [TestClientOutboundQueueCoalesce]
    #[test]
    fn small_pieces_share_a_chunk_until_it_is_full() {
        let (queue, mut pool) = (Alone::default(), ChunkPool::default());
        queue.with(|queue| queue.put(b"12345", &mut pool));
        queue.with(|queue| queue.put(b"67890", &mut pool));
        let size = pool.take(false).capacity();
        queue.with(|queue| queue.put(&vec![b'x'; size], &mut pool));
        let mut parts = Vec::new();
        let end = flush(&queue, &mut pool, |slices| {
            parts.extend(slices.iter().map(|slice| slice.len()));
            Ok(slices.iter().map(|slice| slice.len()).sum())
        });
        assert!(matches!(end, FlushEnd::Done));
        assert_eq!(parts, [size, 10]);
    }

    // CORE-66 [TestFlushOutboundNoSliceReuseIfPartial, TestClientWriteLoopStall]
    #[test]
    fn what_a_socket_takes_in_pieces_is_written_once_and_in_order() {
        let (queue, mut pool) = (Alone::default(), ChunkPool::default());
        let (mut written, mut expected) = (Vec::new(), Vec::new());
        let mut is_first = true;
        let mut is_blocked = false;
        for piece in ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", "------", "0123456789"] {
            expected.extend_from_slice(piece.as_bytes());
            queue.with(|queue| queue.put(piece.as_bytes(), &mut pool));
            let write = |slices: &[IoSlice<'_>]| {
                if !std::mem::replace(&mut is_first, false) && is_blocked {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                is_blocked = !is_blocked;
                let bytes = slices.first().map(|slice| &slice[..slice.len().div_ceil(3)]);
                written.extend_from_slice(bytes.unwrap_or_default());
                Ok(bytes.map_or(0, <[u8]>::len))
            };
            if queue.with(|queue| queue.has_holder) {
                resume(&queue, &mut pool, write);
            } else {
                flush(&queue, &mut pool, write);
            }
            is_blocked = false;
        }
        while queue.with(|queue| queue.pending()) > 0 {
            resume(&queue, &mut pool, |slices| {
                let bytes = &slices[0][..1];
                written.extend_from_slice(bytes);
                Ok(bytes.len())
            });
        }
        assert_eq!(written, expected);
    }
}
