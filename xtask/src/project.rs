//! The project on disk: its folders and its files.

use std::path::{Path, PathBuf};

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::path::absolute(&target).unwrap_or(target)
}

/// Reads a text file of the project.
///
/// # Errors
/// With the path.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A path relative to `root`, with `/` on every system.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = inner.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// All files below `root`, sorted, without what cargo, git and package managers put there.
///
/// # Errors
/// A folder cannot be read.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let kind = entry.file_type().map_err(failed)?;
            let foreign = matches!(
                name.to_str(),
                Some("target" | ".git" | "node_modules" | "__pycache__")
            );
            if foreign {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A crate of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The folder of its manifest.
    pub(crate) folder: PathBuf,
    pub(crate) manifest: toml::Table,
}

/// Every crate of the workspace, found by its manifest.
///
/// # Errors
/// A manifest cannot be read.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    for path in files(root)? {
        if path.file_name().is_none_or(|name| name != "Cargo.toml") {
            continue;
        }
        let shown = path.display();
        let manifest: toml::Table = read(&path)?
            .parse()
            .map_err(|error| format!("{shown}: {error}"))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str)
            .ok_or_else(|| format!("{shown}: no package.name"))?;
        packages.push(Package {
            name: name.to_owned(),
            folder: path.parent().unwrap_or(root).to_path_buf(),
            manifest: manifest.clone(),
        });
    }
    Ok(packages)
}
