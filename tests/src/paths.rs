//! Where the programs and files of a test are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The folder of this build's programs, `target/<profile>`: the running test lies in its `deps`, `xtask` in itself.
pub fn programs() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own.parent().unwrap_or(Path::new("."));
    if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder).to_path_buf()
    } else {
        folder.to_path_buf()
    }
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    let programs = programs();
    programs.parent().unwrap_or(&programs).to_path_buf()
}

/// The project's folder.
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// A file of the folder `tests`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A program that `cargo xtask tools` installed, by its path below `target/tools` (or below `DUNLIN_TOOLS`).
/// `None`: it is not installed.
pub fn tool(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DUNLIN_TOOLS").map_or_else(|| target().join("tools"), PathBuf::from);
    Some(folder.join(name)).filter(|path| path.exists())
}

/// The broker. `DUNLIN_BIN` names a program to test; without it the broker of this profile is built first, so that
/// a test never meets a stale one. Cargo gives a test the path of a program of its own package only.
///
/// # Errors
/// The build failed.
pub fn dunlin() -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| match std::env::var_os("DUNLIN_BIN") {
            Some(path) => std::path::absolute(path).map_err(|error| error.to_string()),
            None => build(),
        })
        .clone()
}

fn build() -> Result<PathBuf, String> {
    let programs = programs();
    let profile = match programs.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", "dunlin", "--profile", profile])
        .arg("--target-dir")
        .arg(target())
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cargo build: {error}"))?;
    if output.status.success() {
        return Ok(programs.join(format!("dunlin{}", std::env::consts::EXE_SUFFIX)));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("the broker does not build:\n{said}"))
}
