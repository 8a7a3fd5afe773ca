//! Why a run ends without a report.

/// Every reason is final: a run that failed measured nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The system refused a call.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The server closed a connection that the run still needed.
    #[error("the server closed the connection")]
    Closed,
    /// The server answered `-ERR`.
    #[error("the server answered -ERR {0}")]
    Refused(String),
    /// Bytes that the NATS client protocol does not allow here.
    #[error("unexpected bytes from the server: {0}")]
    Protocol(String),
    /// A delivery that check mode found wrong.
    #[error("wrong delivery: {0}")]
    Wrong(String),
    /// Nothing moved for ten seconds although deliveries were missing.
    #[error("no progress for ten seconds: {0}")]
    Stuck(String),
    /// The command line cannot be understood.
    #[error("{0}")]
    Usage(String),
}

impl LoadError {
    /// For `map_err`: names what was being done.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> LoadError {
        move |source| LoadError::Io { what, source }
    }

    /// The same for errors of system calls.
    pub(crate) fn sys(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> LoadError {
        move |errno| LoadError::Io {
            what,
            source: errno.into(),
        }
    }
}
