//! The pid file and the ports file (CORE-135).

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Writes the process id, without a line end, readable by the owner only.
///
/// # Errors
/// What the file system says.
#[expect(
    clippy::disallowed_methods,
    reason = "files of the process are part of the seam"
)]
pub fn write_pid_file(path: &Path) -> io::Result<()> {
    std::fs::write(path, std::process::id().to_string())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// The ports file; removed when dropped.
pub struct PortsFile(PathBuf);

impl PortsFile {
    /// Writes `<folder>/<executable>_<pid>.ports`: by kind of connection, the URLs that reach it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(folder: &Path, endpoints: &[(&str, SocketAddr)]) -> io::Result<Self> {
        let executable = std::env::current_exe()?;
        let executable = executable
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let path = folder.join(format!("{executable}_{}.ports", std::process::id()));
        let mut ports = Map::new();
        for (scheme, address) in endpoints {
            let urls = ports.entry(*scheme).or_insert_with(|| json!([]));
            if let Value::Array(urls) = urls {
                urls.extend(
                    reachable(*address)
                        .into_iter()
                        .map(|at| json!(format!("{scheme}://{at}"))),
                );
            }
        }
        dunlin_api::Disk::replace(
            &dunlin_api::SystemDisk,
            &path,
            Value::Object(ports).to_string().as_bytes(),
        )?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A wildcard address is reached on the loopback address, and by whatever else the machine is called.
fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    let loopback = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
    loopback
        .parse()
        .map(|ip| SocketAddr::new(ip, address.port()))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        let file = std::fs::OpenOptions::new().read(true).open(path).unwrap();
        io::read_to_string(file).unwrap()
    }

    // CORE-135 [TestPidFile]
    #[test]
    fn the_pid_file_has_the_pid_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        write_pid_file(&path).unwrap();
        assert_eq!(read(&path), std::process::id().to_string());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // CORE-135 [TestPortsFile]
    #[test]
    fn the_ports_file_lists_urls_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let endpoints = [
            ("nats", "0.0.0.0:4333".parse().unwrap()),
            ("line", "127.0.0.1:9".parse().unwrap()),
        ];
        let file = PortsFile::write(folder.path(), &endpoints).unwrap();
        assert_eq!(
            read(file.path()),
            r#"{"line":["line://127.0.0.1:9"],"nats":["nats://127.0.0.1:4333"]}"#
        );
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists());
    }
}
