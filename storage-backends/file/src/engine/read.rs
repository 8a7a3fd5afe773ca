//! Answering questions about messages: at once where that needs no disk, by a job otherwise.

use dunlin_api::{Answer, Load, StoreError, StoredMessage};

use super::blocks::Block;
use super::damage::DamageLog;
use super::fault::{Fault, Wait};
use super::stream::FileStream;
use super::view::View;
use std::sync::Arc;

/// Asks now, without waiting; what would wait becomes a job that asks again and may. `make` gives what the job takes
/// along.
pub(super) fn ask<T, Q>(
    now: Result<T, Failure>,
    make: impl FnOnce() -> Q,
    again: impl FnOnce(Q) -> Result<T, Failure> + Send + 'static,
) -> Answer<T>
where
    T: Send + 'static,
    Q: Send + 'static,
{
    match now {
        Ok(answer) => Ok(Load::Ready(answer)),
        Err(Failure {
            fault: Fault::WouldWait,
            ..
        }) => {
            let taken = make();
            Ok(Load::cold(move || again(taken).map_err(Failure::into_error)))
        }
        Err(failure) => Err(failure.into_error()),
    }
}

/// A fault, and which message was being read.
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) sequence: u64,
}

impl Failure {
    pub(super) fn into_error(self) -> StoreError {
        self.fault.of(self.sequence)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, sequence: 0 }
    }
}

/// Loads a message that a block holds, and reports it where it is lost.
pub(super) fn load(
    view: &View,
    sequence: u64,
    wait: Wait,
    damage: &DamageLog,
) -> Result<StoredMessage, Failure> {
    view.load(sequence, wait).map_err(|fault| {
        if let Fault::Damaged(_) | Fault::Short = &fault {
            damage.lost(sequence, &fault);
        }
        Failure { fault, sequence }
    })
}

impl FileStream {
    pub(super) fn load_at(&self, sequence: u64) -> Answer<Option<StoredMessage>> {
        let block = self.blocks.get(self.blocks.find(sequence));
        let Some(block) = block.filter(|block| block.holds(sequence)) else {
            return Ok(Load::Ready(None));
        };
        let view = self.view(block);
        let damage = self.damage.clone();
        ask(
            load(&view, sequence, Wait::No, &damage).map(Some),
            || (view.clone(), damage.clone()),
            move |(view, damage)| load(&view, sequence, Wait::Yes, &damage).map(Some),
        )
    }

    /// A message that must be known before something is changed. Reads in place.
    pub(super) fn read(&self, block: &Block, sequence: u64) -> Result<StoredMessage, StoreError> {
        let view = self.view(block);
        load(&view, sequence, Wait::Yes, &self.damage).map_err(Failure::into_error)
    }

    /// A block as it is now.
    pub(super) fn view(&self, block: &Block) -> View {
        let is_last = self
            .blocks
            .last()
            .is_some_and(|last| Arc::ptr_eq(&last.handle, &block.handle));
        let mut tail = self.tail.borrow_mut();
        // While the stream is being cut, the last block is one whose tail was put away.
        let (tail_from, tail) = if is_last && tail.end() == block.length {
            tail.freeze();
            (tail.base(), tail.chunks_from(tail.base()))
        } else {
            block.handle.rest().unwrap_or((block.length, Vec::new()))
        };
        View {
            handle: block.handle.clone(),
            first: block.first,
            last: block.last,
            deleted: block.deleted.clone(),
            length: block.length,
            tail_from,
            tail,
        }
    }
}
