//! How far the stream has come with its sources: `sources.db`, replaced as a whole (STORE-61).

use dunlin_api::{SourcePosition, SourcePositions};

use super::stream::FileStream;
use crate::sources::{self, SourcesFile};

impl FileStream {
    pub(super) fn source_positions(&self) -> SourcePositions {
        let Ok(file) = SourcesFile::decode(&self.sources) else {
            return SourcePositions::default();
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let position = |position: &sources::SourcePosition| SourcePosition {
            name: text(&position.name),
            sequence: position.sequence,
            identity: text(&position.identity),
        };
        SourcePositions {
            before: file.stamp.min(self.state.last + 1),
            sources: file.positions.iter().map(position).collect(),
        }
    }

    /// Keeps positions. What they count goes to the journal before them, so they are never ahead of it.
    pub(super) fn keep_sources(&mut self, positions: &[SourcePosition]) {
        let position = |position: &SourcePosition| sources::SourcePosition {
            name: position.name.clone().into_bytes(),
            sequence: position.sequence,
            identity: position.identity.clone().into_bytes(),
        };
        let file = SourcesFile {
            stamp: self.state.last + 1,
            positions: positions.iter().map(position).collect(),
        };
        self.hand_over();
        let old = std::mem::replace(&mut self.sources, file.encode());
        let (target, new) = (self.sources_file.clone(), self.sources.clone());
        self.put_file(&target, &old, &new);
        self.change();
    }
}
