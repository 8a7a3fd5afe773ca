//! A consumer's files while runs are brought into them: by the journal's thread, and after a crash.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use dunlin_api::{ConsumerState, Env};
use dunlin_journal::Verdict;

use super::codec;
use super::delta::{Content, Fingerprint, Place, Run, decode_file, encode_file, fingerprint};
use crate::layout::{ConsumerDir, FILE_PERMISSIONS, META_KEY};
use crate::small::{Sealing, read_if_there, replace_meta};

/// Where a consumer's files lie, and how.
#[derive(Clone, Copy)]
pub struct Whereabouts<'a> {
    /// The world.
    pub env: &'a Env,
    /// Its directory.
    pub directory: &'a ConsumerDir,
    /// How they lie there.
    pub sealing: &'a Sealing,
    /// The stream's name.
    pub stream: &'a str,
    /// Its own.
    pub name: &'a str,
}

/// What a consumer's files say, with the runs that were brought in since they were read.
pub(super) struct OpenFiles {
    state: ConsumerState,
    place: Option<Place>,
    found: Fingerprint,
    is_dirty: bool,
}

impl OpenFiles {
    /// Reads `o.dat`.
    ///
    /// # Errors
    /// What the disk says; `InvalidData` where the file says nothing.
    pub(super) fn read(at: Whereabouts<'_>) -> io::Result<Self> {
        let on_disk = read_if_there(at.env.disk(), &at.directory.state())?.unwrap_or_default();
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        let plain = match at.sealing.content(&on_disk) {
            Ok(plain) => plain,
            Err(_) if on_disk.is_empty() || codec::decode(&on_disk).is_ok() => on_disk,
            Err(error) => return Err(invalid(error.to_string())),
        };
        let (state, place) = decode_file(&plain).map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            state,
            place,
            found: fingerprint(&plain),
            is_dirty: false,
        })
    }

    /// Brings a run in. A new description is on the disk when this returns, changes of the state with [`Self::write`].
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn apply(&mut self, at: Whereabouts<'_>, bytes: &[u8]) -> io::Result<Verdict> {
        let Some(run) = Run::decode(bytes) else {
            return Ok(Verdict::Refused("no changes of a consumer".to_owned()));
        };
        match run.follows(self.place, self.found) {
            Ok(true) => {}
            Ok(false) => return Ok(Verdict::Present),
            Err(reason) => return Ok(Verdict::Refused(reason)),
        }
        match run.content {
            Content::Changes(changes) => changes.apply(&mut self.state),
            Content::Metadata { before, on_disk } => {
                let paths = at.directory.meta();
                let found = read_if_there(at.env.disk(), &paths.meta)?.unwrap_or_default();
                if found != on_disk && fingerprint(&found) != before {
                    let reason = "its description was written by somebody else since";
                    return Ok(Verdict::Refused(reason.to_owned()));
                }
                let sum_name = format!("{}/{}", at.stream, at.name);
                replace_meta(at.env.disk(), &paths, &sum_name, on_disk)?;
            }
        }
        self.place = Some(run.place);
        self.is_dirty = true;
        if let Content::Metadata { .. } = run.content {
            // Before the next one: a crash leaves at most one description that `o.dat` does not know of.
            self.write(at)?;
        }
        Ok(Verdict::Applied)
    }

    /// Replaces `o.dat` where anything was brought in; it survives power loss when this returns.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn write(&mut self, at: Whereabouts<'_>) -> io::Result<()> {
        let Some(place) = self.place.filter(|_| self.is_dirty) else {
            return Ok(());
        };
        let now = at.env.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        let on_disk = at.sealing.to_disk(encode_file(&self.state, place, now), at.env);
        let path = at.directory.state();
        at.env
            .disk()
            .replace_with_permissions(&path, &on_disk, FILE_PERMISSIONS)?;
        self.is_dirty = false;
        Ok(())
    }
}

/// What a crash left in the journal, on its way back to the consumers of any streams.
#[derive(Default)]
pub struct ConsumerReplay {
    open: BTreeMap<PathBuf, OpenFiles>,
}

impl ConsumerReplay {
    /// Gives a consumer one run, as the journal had it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn apply(&mut self, at: Whereabouts<'_>, bytes: &[u8]) -> io::Result<Verdict> {
        let path = at.directory.path();
        if !self.open.contains_key(path) {
            if at.env.disk().list(path).map_or(true, |files| {
                let is_bare = files.iter().all(|file| file.ends_with(META_KEY));
                is_bare && !is_new(at, bytes)
            }) {
                return Ok(Verdict::Gone);
            }
            let files = match OpenFiles::read(at) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Ok(Verdict::Refused(error.to_string()));
                }
                files => files?,
            };
            self.open.insert(path.to_owned(), files);
        }
        let Some(files) = self.open.get_mut(path) else {
            return Ok(Verdict::Gone);
        };
        match content(at.sealing, bytes) {
            Some(run) => files.apply(at, &run),
            None => Ok(Verdict::Refused("its key is another".to_owned())),
        }
    }

    /// Writes the files of one consumer. To be called for each that was given something, before the journal lets go.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(&mut self, at: Whereabouts<'_>) -> io::Result<()> {
        match self.open.remove(at.directory.path()) {
            Some(mut files) => files.write(at),
            None => Ok(()),
        }
    }
}

/// Whether a run is the first of a consumer that has no files yet.
fn is_new(at: Whereabouts<'_>, bytes: &[u8]) -> bool {
    let run = content(at.sealing, bytes);
    run.is_some_and(|run| Run::decode(&run).is_some_and(|run| run.place.number == 1))
}

fn content(sealing: &Sealing, bytes: &[u8]) -> Option<Vec<u8>> {
    sealing.content(bytes).ok()
}
