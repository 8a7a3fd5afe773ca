//! The pid file and the ports file (CORE-135).

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_api::{Disk, Endpoint, OpenMode};
use serde_json::{Map, Value};

use crate::program::executable;
use dunlin_api::system_error::failed;

/// Why a file of the process could not be written. `Display` is the reference's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FileError(String);

/// Writes the process id in decimal, without a line end. A file that this makes is for the owner only, mode 0600.
/// It is not removed when the process ends, as the reference's is not (CORE-87).
///
/// # Errors
/// What the file system says.
pub fn write_pid_file(disk: &dyn Disk, path: &Path) -> Result<(), FileError> {
    let write = || {
        let file = disk.open_with_permissions(path, OpenMode::ReadWrite, 0o600)?;
        file.set_len(0)?;
        file.write_at(std::process::id().to_string().as_bytes(), 0)
    };
    write().map_err(|error| FileError(failed("open", path, &error)))
}

/// The ports file: for programs that start a broker on a free port and look for it. Removed when dropped.
pub struct PortsFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl PortsFile {
    /// Writes `<folder>/<executable>_<pid>.ports`: for each kind of listener, the URLs that reach it, one per interface
    /// where it listens on all. Appears whole, never half. Call it when all listeners are up.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(
        disk: Arc<dyn Disk>,
        folder: &Path,
        endpoints: &[(Endpoint, SocketAddr)],
    ) -> Result<Self, FileError> {
        let path = folder.join(format!("{}_{}.ports", executable(), std::process::id()));
        let text = Value::Object(ports(endpoints, &interfaces())).to_string();
        disk.replace(&path, text.as_bytes())
            .map_err(|error| FileError(failed("open", &path, &error)))?;
        Ok(Self { disk, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.disk.remove(&self.path);
    }
}

fn ports(endpoints: &[(Endpoint, SocketAddr)], interfaces: &[IpAddr]) -> Map<String, Value> {
    let mut ports = Map::new();
    for (endpoint, address) in endpoints {
        let urls = reachable(*address, interfaces)
            .into_iter()
            .map(|at| Value::String(format!("{}://{at}", endpoint.scheme)));
        let list = ports
            .entry(kind(endpoint.connections))
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.extend(urls);
        }
    }
    ports
}

/// The reference's name for a kind of listener; a custom one goes by its own.
fn kind(connections: &str) -> &str {
    match connections {
        "client" => "nats",
        "route" => "cluster",
        "monitor" => "monitoring",
        other => other,
    }
}

/// A wildcard address is reached on every interface of its family; that of IPv6 takes IPv4 too.
fn reachable(address: SocketAddr, interfaces: &[IpAddr]) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let own_family = interfaces.iter().filter(|ip| address.is_ipv6() || ip.is_ipv4());
    own_family
        .map(|ip| SocketAddr::new(*ip, address.port()))
        .collect()
}

/// The addresses of this machine, in the order of its interfaces; the loopback ones where they cannot be told.
fn interfaces() -> Vec<IpAddr> {
    let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.sort_by_key(|interface| interface.index);
    if interfaces.is_empty() {
        return vec![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
    }
    interfaces.iter().map(|interface| interface.ip()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use dunlin_api::{MemoryDisk, SystemDisk};

    use super::*;

    fn endpoint(connections: &'static str, scheme: &'static str, at: &str) -> (Endpoint, SocketAddr) {
        let at: SocketAddr = at.parse().unwrap();
        let (host, port) = (at.ip().to_string(), at.port());
        (
            Endpoint {
                connections,
                host,
                port,
                scheme,
            },
            at,
        )
    }

    fn check_ports(endpoints: &[(Endpoint, SocketAddr)], expected: &str) {
        let interfaces = ["127.0.0.1", "::1", "10.0.0.7", "fe80::1"].map(|ip| ip.parse().unwrap());
        assert_eq!(Value::Object(ports(endpoints, &interfaces)).to_string(), expected);
    }

    // CORE-135 [TestPidFile]
    #[test]
    fn the_pid_file_has_the_pid_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        write_pid_file(&SystemDisk, &path).unwrap();
        assert_eq!(
            SystemDisk.read(&path).unwrap(),
            std::process::id().to_string().into_bytes()
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // CORE-135
    #[test]
    fn an_older_and_longer_pid_file_is_replaced_whole() {
        let disk = MemoryDisk::with_files([("/run/pid", "999999999999")]);
        write_pid_file(&disk, Path::new("/run/pid")).unwrap();
        assert_eq!(
            disk.read(Path::new("/run/pid")).unwrap(),
            std::process::id().to_string().into_bytes()
        );
    }

    // CORE-81
    #[test]
    fn a_pid_file_that_cannot_be_written_is_named_in_the_references_words() {
        let error = write_pid_file(&SystemDisk, Path::new("/nonexistent/x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "open /nonexistent/x: no such file or directory"
        );
    }

    // CORE-135 [TestPortsFile]
    #[test]
    fn the_ports_file_lists_urls_by_kind() {
        check_ports(
            &[
                endpoint("client", "nats", "127.0.0.1:4333"),
                endpoint("client", "tls", "[::1]:4334"),
                endpoint("monitor", "http", "127.0.0.1:8222"),
                endpoint("route", "nats", "127.0.0.1:6222"),
                endpoint("websocket", "wss", "127.0.0.1:443"),
                endpoint("line", "line", "127.0.0.1:9"),
            ],
            concat!(
                r#"{"cluster":["nats://127.0.0.1:6222"],"line":["line://127.0.0.1:9"],"#,
                r#""monitoring":["http://127.0.0.1:8222"],"nats":["nats://127.0.0.1:4333","tls://[::1]:4334"],"#,
                r#""websocket":["wss://127.0.0.1:443"]}"#
            ),
        );
    }

    // CORE-135
    #[test]
    fn a_wildcard_address_is_listed_once_per_interface() {
        check_ports(
            &[endpoint("client", "nats", "0.0.0.0:4222")],
            r#"{"nats":["nats://127.0.0.1:4222","nats://10.0.0.7:4222"]}"#,
        );
        let all =
            r#"{"nats":["nats://127.0.0.1:1","nats://[::1]:1","nats://10.0.0.7:1","nats://[fe80::1]:1"]}"#;
        check_ports(&[endpoint("client", "nats", "[::]:1")], all);
    }

    #[test]
    fn the_loopback_address_is_among_the_interfaces() {
        assert!(interfaces().iter().any(IpAddr::is_loopback));
    }

    // CORE-135, CORE-87 [TestPortsFile]
    #[test]
    fn the_ports_file_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let endpoints = [endpoint("client", "nats", "127.0.0.1:4333")];
        let file = PortsFile::write(Arc::new(SystemDisk), folder.path(), &endpoints).unwrap();
        let path = file.path().to_owned();
        assert_eq!(
            SystemDisk.read(&path).unwrap(),
            br#"{"nats":["nats://127.0.0.1:4333"]}"#
        );
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name.ends_with(&format!("_{}.ports", std::process::id())),
            "{name}"
        );
        drop(file);
        assert_eq!(SystemDisk.list(folder.path()).unwrap(), Vec::<PathBuf>::new());
    }
}
