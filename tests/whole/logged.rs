//! A program whose log is read from its standard error as it comes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a line of the log may take. Only a hang gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running program; killed when dropped.
pub(crate) struct Logged {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Logged {
    /// Starts it, without input and with its output thrown away.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::Builder::new()
            .spawn(move || {
                let lines = stderr.lines().map_while(Result::ok);
                lines
                    .map(|line| sender.send(line))
                    .take_while(Result::is_ok)
                    .for_each(drop);
            })
            .unwrap();
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines read until now, without the process id.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Waits for a line that contains `text`, from where the last wait ended.
    pub(crate) fn until(&mut self, text: &str) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let is_it = line.contains(text);
                    self.note(&line);
                    if is_it {
                        return;
                    }
                }
                Err(error) => panic!("no line with {text:?} ({error}):\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Waits for its end: the exit code, and all lines without the process id.
    pub(crate) fn end(&mut self) -> (Option<i32>, Vec<String>) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.note(&line);
        }
        let code = self.child.wait().unwrap().code();
        (code, std::mem::take(&mut self.seen))
    }

    fn note(&mut self, line: &str) {
        let pid = format!("[{}] ", self.pid());
        self.seen.push(line.strip_prefix(&pid).unwrap_or(line).to_owned());
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
