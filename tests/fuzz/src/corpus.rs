//! Kept inputs and dictionaries, as libFuzzer keeps them: a file an input, a quoted token a line.

use std::fs;
use std::path::{Path, PathBuf};

/// The kept inputs of one target.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// In the order of their names.
    pub inputs: Vec<Vec<u8>>,
}

fn own_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Corpus {
    /// Where the inputs of a target are kept.
    pub fn folder(target: &str) -> PathBuf {
        own_folder().join("corpus").join(target)
    }

    /// Reads the inputs of a target.
    ///
    /// # Errors
    /// With the path.
    pub fn load(target: &str) -> Result<Self, String> {
        let folder = Self::folder(target);
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        let inputs = paths
            .iter()
            .map(fs::read)
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        Ok(Self { inputs })
    }
}

/// The tokens of a target's dictionary.
///
/// # Errors
/// With the path, and the line that is none.
pub fn tokens(target: &str) -> Result<Vec<Vec<u8>>, String> {
    let path = own_folder()
        .join("dictionaries")
        .join(target)
        .with_extension("dict");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| token(line).ok_or_else(|| format!("{}: no token: {line}", path.display())))
        .collect()
}

/// `"…"` with `\\`, `\"` and `\xHH`.
fn token(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?.bytes();
    let mut token = Vec::new();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            token.push(byte);
            continue;
        }
        match rest.next()? {
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                token.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            other => token.push(other),
        }
    }
    Some(token)
}
