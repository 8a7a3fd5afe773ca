//! Answers that may have to wait for a medium.

use super::StoreError;

/// The answer to a question, or the way to it.
pub enum Load<T> {
    /// Here it is.
    Ready(T),
    /// It must be read from the medium: run the job where waiting is allowed.
    Cold(ReadJob<T>),
}

/// Reads without its store, which may change meanwhile. It answers as of the time when it was made; whether messages
/// removed since then are still in the answer is open. Waits for the medium.
///
/// Errors: [`StoreError::Damaged`], or the medium cannot be read.
pub type ReadJob<T> = Box<dyn FnOnce() -> Result<T, StoreError> + Send>;

/// What a store answers to a question.
///
/// Errors: [`StoreError::Damaged`], [`StoreError::Io`], and what the question names.
pub type Answer<T> = Result<Load<T>, StoreError>;

impl<T> Load<T> {
    /// The answer that `read` gives.
    pub fn cold(read: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Self {
        Self::Cold(Box::new(read))
    }

    /// The answer, waiting for the medium where it is cold.
    ///
    /// # Errors
    /// Those of the [`ReadJob`].
    pub fn wait(self) -> Result<T, StoreError> {
        match self {
            Self::Ready(answer) => Ok(answer),
            Self::Cold(job) => job(),
        }
    }
}

/// Reads ahead what changes from some sequence on need; see [`super::StreamStore::warm`].
pub struct Warm {
    /// The last sequence that the job covers.
    pub through: u64,
    /// Reads it.
    pub job: ReadJob<Warmed>,
}

/// Holds in memory what a [`Warm`] has read, until it is dropped.
pub type Warmed = Box<dyn Send>;
