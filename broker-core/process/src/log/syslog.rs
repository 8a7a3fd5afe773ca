//! Syslog: each line a message, to the machine's own daemon or to one elsewhere.
//!
//! The form is that of Go's library, which the reference uses: no host name on local sockets, RFC 3339 times on others.
//! Runs on the writer's thread. A daemon that is away costs at most one attempt a second; what it misses is counted
//! as lost. Rules: CORE-140.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, SystemTime};

use dunlin_api::Level;
use dunlin_api::system_error::reason;
use dunlin_config::quote;

use super::format::LineFormat;

/// Where a machine's own daemon listens, in Go's order.
const LOCAL_PATHS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// How long a connection or a write may take: shorter than [`super::Log::flush`] waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pause between attempts to reach a daemon that is away.
const REST: Duration = Duration::from_secs(1);

/// Where the daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine.
    Local(Vec<String>),
    Udp(String),
    Tcp(String),
    Unix(String),
}

/// A daemon, and the connection to it while there is one.
pub(super) struct Syslog {
    place: Place,
    tag: String,
    host: String,
    connection: Option<Connection>,
    /// After a failure: when the next attempt is due.
    rests_until: Option<SystemTime>,
}

enum Connection {
    Datagram(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Place {
    /// The machine's own daemon.
    pub(super) fn local() -> Self {
        Self::Local(LOCAL_PATHS.map(str::to_owned).to_vec())
    }

    /// `udp://host:port`, `tcp://host:port` or `unix:///path`. The error is the reference's text.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.strip_prefix("//");
        let (host, path) = match rest {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", ""),
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned();
        match scheme.as_str() {
            "udp" => Ok(Self::Udp(host)),
            "tcp" => Ok(Self::Tcp(host)),
            "unix" => Ok(Self::Unix(path.to_owned())),
            _ => Err(format!("error invalid network type: {}", quote(&scheme))),
        }
    }

    fn connect(&self) -> Result<Connection, String> {
        match self {
            Self::Local(paths) => {
                let mut datagrams = paths.iter().map(|path| datagram(path));
                let mut streams = paths.iter().map(|path| stream(path));
                let found = datagrams
                    .find_map(Result::ok)
                    .or_else(|| streams.find_map(Result::ok));
                found.ok_or_else(|| "Unix syslog delivery error".to_owned())
            }
            Self::Unix(path) => {
                // The reference tries a stream only, which few daemons offer.
                let connection = stream(path);
                connection
                    .or_else(|error| datagram(path).map_err(|_| error))
                    .map_err(|error| format!("dial unix {path}: connect: {}", reason(&error)))
            }
            Self::Udp(address) => dial("udp", address, |at| {
                let any: SocketAddr = match at {
                    SocketAddr::V4(_) => ([0; 4], 0).into(),
                    SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(at)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Connection::Udp(socket))
            }),
            Self::Tcp(address) => dial("tcp", address, |at| {
                let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Connection::Tcp(stream))
            }),
        }
    }

    /// Local sockets carry no host name, and bits of the facility differ: daemon here, kernel elsewhere, as in the
    /// reference.
    fn is_local_socket(&self) -> bool {
        matches!(self, Self::Local(_) | Self::Unix(_))
    }

    fn facility(&self) -> u8 {
        match self {
            Self::Local(_) => 3 << 3,
            _ => 0,
        }
    }
}

impl Syslog {
    /// Connects, and marks each message with `tag`. The error says why that failed.
    pub(super) fn connect(place: Place, tag: String) -> Result<Self, String> {
        let connection = place.connect()?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let host = match host.is_empty() {
            true => connection.local_address(),
            false => host,
        };
        Ok(Self {
            place,
            tag,
            host,
            connection: Some(connection),
            rests_until: None,
        })
    }

    /// Sends one line, over a new connection where the old one fails.
    pub(super) fn send(
        &mut self,
        format: &LineFormat,
        wall: SystemTime,
        level: Level,
        text: &str,
    ) -> io::Result<()> {
        let message = self.message(format, wall, level, text);
        if let Some(connection) = &mut self.connection
            && connection.send(message.as_bytes()).is_ok()
        {
            return Ok(());
        }
        self.connection = None;
        let is_resting = self
            .rests_until
            // A clock that was set back must not silence the log.
            .is_some_and(|until| wall < until && until - REST <= wall);
        if is_resting {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let sent = self
            .place
            .connect()
            .map_err(io::Error::other)
            .and_then(|mut connection| {
                connection.send(message.as_bytes())?;
                self.connection = Some(connection);
                Ok(())
            });
        self.rests_until = sent.is_err().then(|| wall + REST);
        sent
    }

    /// `<priority>time [host ]tag[pid]: text`
    fn message(&self, format: &LineFormat, wall: SystemTime, level: Level, text: &str) -> String {
        let mut message = format!("<{}>", self.place.facility() | severity(level));
        if self.place.is_local_socket() {
            format.write_local_stamp(&mut message, wall);
        } else {
            format.write_stamp(&mut message, wall);
            message.push(' ');
            message.push_str(&self.host);
        }
        message.push_str(&format!(" {}[{}]: ", self.tag, format.pid));
        format.write_text(&mut message, wall, level, text);
        message.push('\n');
        message
    }
}

impl Connection {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagram(socket) => socket.send(message).map(drop),
            Self::Udp(socket) => socket.send(message).map(drop),
            Self::Stream(stream) => stream.write_all(message),
            Self::Tcp(stream) => stream.write_all(message),
        }
    }

    fn local_address(&self) -> String {
        let address = match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(stream) => stream.local_addr(),
            Self::Datagram(_) | Self::Stream(_) => return "localhost".to_owned(),
        };
        address.map_or_else(|_| "localhost".to_owned(), |at| at.to_string())
    }
}

fn datagram(path: &str) -> io::Result<Connection> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(Connection::Datagram(socket))
}

fn stream(path: &str) -> io::Result<Connection> {
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(Connection::Stream(stream))
}

/// Tries each address that the name has.
fn dial(
    network: &str,
    address: &str,
    connect: impl Fn(SocketAddr) -> io::Result<Connection>,
) -> Result<Connection, String> {
    if address.is_empty() {
        return Err(format!("dial {network}: missing address"));
    }
    let mut failure = None;
    let resolved = address
        .to_socket_addrs()
        .map_err(|error| format!("dial {network}: address {address}: {}", reason(&error)))?;
    for at in resolved {
        match connect(at) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = Some(format!("dial {network} {at}: connect: {}", reason(&error))),
        }
    }
    Err(failure.unwrap_or_else(|| format!("dial {network}: address {address}: no such host")))
}

/// The reference sends traces as notices.
fn severity(level: Level) -> u8 {
    match level {
        Level::Fatal => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Notice | Level::Trace => 5,
        Level::Debug => 7,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test plays the daemon")]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;
    use crate::log::{LineFormat, Log, LogError, Style, Target};

    const FORMAT: LineFormat = LineFormat {
        pid: 7,
        time: true,
        utc: true,
        style: Style::Plain,
    };

    /// 2026-01-01 00:00:00 in UTC.
    fn wall() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
    }

    fn text(path: &Path) -> String {
        path.to_str().unwrap().to_owned()
    }

    /// A connection whose host name is known.
    fn connect(place: Place) -> Syslog {
        let mut syslog = Syslog::connect(place, "nats-server".to_owned()).unwrap();
        "host".clone_into(&mut syslog.host);
        syslog
    }

    fn send(syslog: &mut Syslog, level: Level, text: &str) {
        syslog.send(&FORMAT, wall(), level, text).unwrap();
    }

    fn udp() -> (UdpSocket, Place) {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let place = Place::parse(&format!("udp://{}", daemon.local_addr().unwrap())).unwrap();
        (daemon, place)
    }

    fn datagram_of(daemon: &UdpSocket) -> String {
        let mut buffer = [0; 2000];
        let length = daemon.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    // CORE-140 [TestRemoteSysLogger, TestRemoteSysLoggerNotice, TestRemoteSysLoggerDebug, TestRemoteSysLoggerTrace]
    #[test]
    fn each_level_has_its_severity_elsewhere() {
        let (daemon, place) = udp();
        let mut syslog = connect(place);
        for (level, priority) in [
            (Level::Notice, 5),
            (Level::Trace, 5),
            (Level::Warning, 4),
            (Level::Error, 3),
            (Level::Fatal, 2),
            (Level::Debug, 7),
        ] {
            send(&mut syslog, level, "foo bar");
            let expected = format!("<{priority}>2026-01-01T00:00:00Z host nats-server[7]: foo bar\n");
            assert_eq!(datagram_of(&daemon), expected);
        }
    }

    // CORE-140 [TestSysLogger]: facility daemon, local time, no host name.
    #[test]
    fn the_own_machines_messages_have_no_host_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let paths = vec![text(&folder.path().join("none")), text(&path)];
        let mut syslog = connect(Place::Local(paths));
        send(&mut syslog, Level::Notice, "a\nb");
        let mut buffer = [0; 200];
        let length = daemon.recv(&mut buffer).unwrap();
        let message = std::str::from_utf8(&buffer[..length]).unwrap();
        let mut stamp = String::new();
        FORMAT.write_local_stamp(&mut stamp, wall());
        assert_eq!(message, format!("<29>{stamp} nats-server[7]: a\\nb\n"));
        assert_eq!(stamp.len(), "Jan  1 00:00:00".len());
    }

    // CORE-140
    #[test]
    fn a_unix_socket_may_be_a_stream_or_take_datagrams() {
        let folder = tempfile::tempdir().unwrap();
        let (stream, datagrams) = (folder.path().join("stream"), folder.path().join("datagrams"));
        let listener = UnixListener::bind(&stream).unwrap();
        let daemon = UnixDatagram::bind(&datagrams).unwrap();
        let place = |path: &Path| Place::parse(&format!("unix://{}", path.display())).unwrap();
        send(&mut connect(place(&stream)), Level::Error, "x");
        let mut received = String::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut received)
            .unwrap();
        assert!(
            received.starts_with("<3>") && received.ends_with(" nats-server[7]: x\n"),
            "{received}"
        );
        send(&mut connect(place(&datagrams)), Level::Error, "x");
        let mut buffer = [0; 200];
        let length = daemon.recv(&mut buffer).unwrap();
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), received);
    }

    // CORE-140: a daemon that was restarted gets the next messages.
    #[test]
    fn a_lost_connection_is_made_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::parse(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
        let mut syslog = connect(place);
        send(&mut syslog, Level::Notice, "one");
        let mut received = String::new();
        {
            let (mut first, _) = listener.accept().unwrap();
            let mut byte = [0];
            while !received.ends_with('\n') {
                first.read_exact(&mut byte).unwrap();
                received.push(byte[0].into());
            }
        }
        assert_eq!(received, "<5>2026-01-01T00:00:00Z host nats-server[7]: one\n");
        // What is sent before the system knows of the end is lost, as with any TCP.
        listener.set_nonblocking(true).unwrap();
        let mut second = loop {
            send(&mut syslog, Level::Notice, "two");
            if let Ok((second, _)) = listener.accept() {
                break second;
            }
        };
        second.set_nonblocking(false).unwrap();
        drop(syslog);
        received.clear();
        second.read_to_string(&mut received).unwrap();
        assert!(received.ends_with(": two\n"), "{received}");
    }

    #[test]
    fn a_daemon_that_is_away_is_tried_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = connect(Place::Local(vec![text(&path)]));
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        let mut send_at = |after: Duration| syslog.send(&FORMAT, wall() + after, Level::Notice, "x").is_ok();
        assert!(!send_at(Duration::ZERO));
        let _daemon = UnixDatagram::bind(&path).unwrap();
        assert!(!send_at(REST / 2), "rests");
        assert!(send_at(REST));
    }

    // CORE-140 [TestGetNetworkAndAddrUDP, TestGetNetworkAndAddrTCP, TestGetNetworkAndAddrUnix]
    #[test]
    fn the_url_says_where_the_daemon_is() {
        for (url, place) in [
            ("udp://foo.com:1000", Place::Udp("foo.com:1000".to_owned())),
            ("tcp://foo.com:1000", Place::Tcp("foo.com:1000".to_owned())),
            ("TCP://me@[::1]:1000/x", Place::Tcp("[::1]:1000".to_owned())),
            ("unix:///foo.sock", Place::Unix("/foo.sock".to_owned())),
        ] {
            assert_eq!(Place::parse(url), Ok(place), "{url}");
        }
        for (url, shown) in [("foo://x", "foo"), ("localhost:514", "localhost"), ("", "")] {
            let error = format!("error invalid network type: \"{shown}\"");
            assert_eq!(Place::parse(url), Err(error));
        }
    }

    // CORE-140
    #[test]
    fn a_syslog_that_does_not_answer_is_told_at_start() {
        let error = |place: Place| match Syslog::connect(place, String::new()) {
            Ok(_) => panic!("connected"),
            Err(error) => LogError::Syslog(error).to_string(),
        };
        assert_eq!(
            error(Place::Local(Vec::new())),
            "error connecting to syslog: \"Unix syslog delivery error\""
        );
        assert_eq!(
            error(Place::Udp(String::new())),
            "error connecting to syslog: \"dial udp: missing address\""
        );
        assert_eq!(
            error(Place::Unix("/nonexistent/x".to_owned())),
            "error connecting to syslog: \"dial unix /nonexistent/x: connect: no such file or directory\""
        );
    }

    // CORE-140 [TestSysLoggerWithDebugAndTrace, TestRemoteSysLoggerDebugDisabled, TestRemoteSysLoggerTraceDisabled]
    #[test]
    fn debug_and_trace_reach_syslog_only_when_they_are_on() {
        let (daemon, _) = udp();
        let target = Target::RemoteSyslog {
            url: format!("udp://{}", daemon.local_addr().unwrap()),
            tag: "x".to_owned(),
        };
        let log = Log::start(
            target,
            FORMAT,
            Box::new(dunlin_api::SystemClock),
            std::sync::Arc::new(dunlin_api::MemoryDisk::default()),
        )
        .unwrap();
        let logger = dunlin_api::Logger::new(log.clone());
        let talk = |mark: &str| {
            logger.debug(format_args!("debug {mark}"));
            logger.trace(format_args!("trace {mark}"));
            logger.notice(format_args!("notice {mark}"));
        };
        let next = || {
            let message = datagram_of(&daemon);
            message.rsplit_once("]: ").unwrap().1.to_owned()
        };
        talk("off");
        logger.set_levels(true, true);
        talk("on");
        let expected = ["notice off\n", "debug on\n", "trace on\n", "notice on\n"];
        assert_eq!([next(), next(), next(), next()], expected);
        // CORE-139
        log.reopen();
        assert_eq!(next(), "File log re-open ignored, not a file logger\n");
    }
}
