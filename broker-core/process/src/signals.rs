//! Signals of the process (CORE-136).

use std::io;

use dunlin_api::Logger;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// INT: stop.
    Interrupt,
    /// TERM: stop.
    Terminate,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: open the log file anew.
    ReopenLog,
    /// USR2: enter lame duck mode.
    LameDuck,
}

impl Signal {
    /// The name in the log line.
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminated",
            Self::Reload => "hangup",
            Self::ReopenLog => "user defined signal 1",
            Self::LameDuck => "user defined signal 2",
        }
    }
}

/// The signals that the broker minds, from now on; the process no longer ends by them.
pub struct Signals {
    logger: Logger,
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
    user1: Stream,
    user2: Stream,
}

impl Signals {
    /// Starts minding signals.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen(logger: Logger) -> io::Result<Self> {
        Ok(Self {
            logger,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one, and logs it.
    pub async fn next(&mut self) -> Signal {
        let signal = tokio::select! {
            biased;
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.user1.recv() => Signal::ReopenLog,
            _ = self.user2.recv() => Signal::LameDuck,
        };
        self.logger
            .notice(format_args!("Trapped {:?} signal", signal.name()));
        signal
    }

    /// Waits for one that asks to stop: a second one while the broker stops ends the process at once.
    pub async fn stop(&mut self) {
        while !matches!(self.next().await, Signal::Interrupt | Signal::Terminate) {}
    }
}
