//! Runs a script against a server.

use std::collections::BTreeMap;

use super::normalise::Normaliser;
use super::script::{Action, Script, Step};
use super::signing;
use crate::connection::{Connection, Event, Frame};
use crate::server::Server;

/// Begins the line of a transcript in which the server did not do what the script waits for.
pub(super) const HANGS: &str = "!! ";

/// Plays a script and returns what each step was and what came back, normalised. It ends early where the server does
/// not do what the script waits for.
pub fn transcript(script: &Script, server: &Server) -> Vec<String> {
    let address = server.address();
    let mut player = Player {
        server,
        keeps_pings: script.keeps_pings(),
        connections: BTreeMap::new(),
        nonces: BTreeMap::new(),
        normaliser: Normaliser::new(address),
        lines: Vec::new(),
    };
    for step in script.steps() {
        player.lines.push(step.text.clone());
        if let Err(problem) = player.play(step) {
            player.lines.push(format!("{HANGS}{problem}"));
            break;
        }
    }
    player.lines
}

struct Player<'a> {
    server: &'a Server,
    keeps_pings: bool,
    connections: BTreeMap<String, Connection>,
    /// Those of the first INFO of each connection.
    nonces: BTreeMap<String, String>,
    normaliser: Normaliser,
    lines: Vec<String>,
}

impl Player<'_> {
    fn play(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Open(names) => names.iter().try_for_each(|name| self.open(name)),
            Action::Dial(names) => names.iter().try_for_each(|name| self.dial(name)),
            Action::Secure { name, client } => {
                let folder = self.server.folder();
                let line = match self.connection(name)?.secure(folder, client) {
                    Ok(version) => format!("  {name}: (TLS {version})"),
                    Err(error) => format!("  {name}: (no TLS: {error})"),
                };
                self.lines.push(line);
                Ok(())
            }
            Action::Send {
                name,
                bytes,
                bytewise,
            } => {
                let nonce = self.nonces.get(name).map(String::as_str).unwrap_or_default();
                let bytes = signing::fill_in(bytes, nonce)?;
                let connection = self.connection(name)?;
                if *bytewise {
                    bytes.chunks(1).for_each(|byte| connection.send(byte));
                } else {
                    connection.send(&bytes);
                }
                Ok(())
            }
            Action::Await { name, begin } => loop {
                if self.show_next(name)?.starts_with(begin) {
                    return Ok(());
                }
            },
            Action::Lines { name, count } => (0..*count).try_for_each(|_| self.show_next(name).map(drop)),
            Action::Sync(name) => {
                self.connection(name)?.send(b"PING\r\n");
                loop {
                    if self.show_next(name)? == "PONG" {
                        return Ok(());
                    }
                }
            }
            Action::Closed(name) => loop {
                match self.next(name)? {
                    Event::Frame(frame) => {
                        self.show(name, &frame);
                    }
                    Event::Closed(rest) => {
                        self.show_end(name, &rest);
                        return Ok(());
                    }
                }
            },
            Action::Sort(name) => {
                let mut messages = self.messages(name)?;
                messages.sort();
                self.lines
                    .extend(messages.into_iter().map(|message| format!("  {name}: {message}")));
                Ok(())
            }
            Action::Gather { names, least } => self.gather(names, *least),
            Action::Reload(config) => {
                for line in self.server.reload(config)? {
                    self.lines
                        .push(format!("  log: {}", self.normaliser.log_line(&line)));
                }
                Ok(())
            }
            Action::Judge { .. } => Err("configurations are judged without a connection".to_owned()),
        }
    }

    fn open(&mut self, name: &str) -> Result<(), String> {
        self.dial(name)?;
        let event = self.next(name)?;
        if let Event::Frame(frame) = &event {
            self.nonces.insert(name.to_owned(), signing::nonce(frame.bytes()));
        }
        self.show_event(name, event).map(drop)
    }

    fn dial(&mut self, name: &str) -> Result<(), String> {
        let connection = Connection::open(self.server.address()).map_err(|error| error.to_string())?;
        self.connections.insert(name.to_owned(), connection);
        Ok(())
    }

    /// The messages that came to any of `names`, sorted and without their sids, since which member of a queue group
    /// gets one is random; and whether each member that got any got at least `least`.
    fn gather(&mut self, names: &[String], least: usize) -> Result<(), String> {
        let mut messages = Vec::new();
        let mut members: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for name in names {
            for message in self.messages(name)? {
                let (sid, text) = without_sid(&message);
                *members.entry((name.as_str(), sid)).or_default() += 1;
                messages.push(text);
            }
        }
        messages.sort();
        let total = messages.len();
        for group in messages.chunk_by(|a, b| a == b) {
            if let [first, ..] = group {
                self.lines.push(format!("  {} x {first}", group.len()));
            }
        }
        self.lines.push(format!("  {total} in all"));
        if least > 0 {
            let fair = members.values().all(|count| *count >= least);
            let verdict = if fair { "at least" } else { "not each of them" };
            self.lines
                .push(format!("  {} members, {verdict} {least}", members.len()));
        }
        Ok(())
    }

    /// A round trip: the messages that come until its end. Everything else goes to the transcript.
    fn messages(&mut self, name: &str) -> Result<Vec<String>, String> {
        self.connection(name)?.send(b"PING\r\n");
        let mut messages = Vec::new();
        loop {
            match self.next(name)? {
                Event::Frame(frame) if frame.is_message() => {
                    messages.push(self.normaliser.frame(frame.bytes()))
                }
                Event::Frame(frame) => {
                    if self.show(name, &frame) == "PONG" {
                        return Ok(messages);
                    }
                }
                Event::Closed(rest) => {
                    self.show_end(name, &rest);
                    return Err(format!("{name} was closed"));
                }
            }
        }
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection, String> {
        self.connections
            .get_mut(name)
            .ok_or_else(|| format!("{name} is not open"))
    }

    /// What comes next, without the PINGs that the script does not ask for.
    fn next(&mut self, name: &str) -> Result<Event, String> {
        let keeps_pings = self.keeps_pings;
        let connection = self.connection(name)?;
        loop {
            let event = connection
                .read()
                .map_err(|error| format!("{name} waits, but {error}"))?;
            match &event {
                Event::Frame(frame) if frame.verb() == b"PING" && !keeps_pings => {}
                _ => return Ok(event),
            }
        }
    }

    fn show_next(&mut self, name: &str) -> Result<String, String> {
        let event = self.next(name)?;
        self.show_event(name, event)
    }

    fn show_event(&mut self, name: &str, event: Event) -> Result<String, String> {
        match event {
            Event::Frame(frame) => Ok(self.show(name, &frame)),
            Event::Closed(rest) => {
                self.show_end(name, &rest);
                Err(format!("{name} was closed"))
            }
        }
    }

    fn show(&mut self, name: &str, frame: &Frame) -> String {
        let text = self.normaliser.frame(frame.bytes());
        self.lines.push(format!("  {name}: {text}"));
        text
    }

    fn show_end(&mut self, name: &str, rest: &[u8]) {
        if !rest.is_empty() {
            let text = self.normaliser.frame(rest);
            self.lines.push(format!("  {name}: {text}"));
        }
        self.lines.push(format!("  {name}: (closed)"));
    }
}

/// Cuts the sid, the third word of a message line, out.
fn without_sid(message: &str) -> (String, String) {
    let mut words = message.splitn(4, ' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(verb), Some(subject), Some(sid), Some(rest)) => {
            (sid.to_owned(), format!("{verb} {subject} <sid> {rest}"))
        }
        _ => (String::new(), message.to_owned()),
    }
}
