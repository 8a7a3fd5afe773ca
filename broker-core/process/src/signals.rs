//! Signals of the process (CORE-136).

use std::io;

use dunlin_api::Logger;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// INT: stop.
    Interrupt,
    /// TERM: stop, unless a lame duck is about to.
    Terminate,
    /// HUP: read the configuration again.
    Reload,
    /// USR1: open the log file anew.
    ReopenLog,
    /// USR2: enter lame duck mode.
    LameDuck,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Interrupt,
        Self::Terminate,
        Self::Reload,
        Self::ReopenLog,
        Self::LameDuck,
    ];

    /// The system's name, without SIG.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::Terminate => "TERM",
            Self::Reload => "HUP",
            Self::ReopenLog => "USR1",
            Self::LameDuck => "USR2",
        }
    }

    /// What it asks for, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Interrupt => "Stops the broker. A second one stops it at once.",
            Self::Terminate => "Stops the broker, unless it is a lame duck and about to stop anyway.",
            Self::Reload => "Reads the configuration again.",
            Self::ReopenLog => "Opens the log file anew.",
            Self::LameDuck => {
                "Lame duck: takes no new clients, moves the others elsewhere over time, then stops."
            }
        }
    }

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

/// The signals that the broker minds, as a stream. From [`Signals::listen`] on the process no longer ends by them, not
/// even once the stream is dropped.
pub struct Signals {
    logger: Logger,
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
    user1: Stream,
    user2: Stream,
}

impl Signals {
    /// Starts minding signals, in a tokio runtime with I/O.
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

    /// Waits for the next one, and logs it. Equal ones that come before they are asked for count once; those that stop
    /// come first. Cancel-safe.
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
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Raw, getpid, kill_process};

    use super::*;
    use crate::log::memory_sink;

    // One test, since signals are the whole process's.
    // CORE-136
    #[tokio::test]
    async fn each_signal_has_its_meaning_and_its_line() {
        let sink = memory_sink();
        let mut signals = Signals::listen(Logger::new(sink.clone())).unwrap();
        let send = |raw| kill_process(getpid(), raw).unwrap();
        for (raw, signal, name) in [
            (Raw::INT, Signal::Interrupt, "interrupt"),
            (Raw::TERM, Signal::Terminate, "terminated"),
            (Raw::HUP, Signal::Reload, "hangup"),
            (Raw::USR1, Signal::ReopenLog, "user defined signal 1"),
            (Raw::USR2, Signal::LameDuck, "user defined signal 2"),
        ] {
            send(raw);
            assert_eq!(signals.next().await, signal);
            assert_eq!(sink.take(), [format!("[INF] Trapped \"{name}\" signal")]);
        }
        send(Raw::USR1);
        assert_eq!(
            signals.next().await,
            Signal::ReopenLog,
            "a stream serves more than once"
        );
    }
}
