//! The small files of a file store, which another server or a failing disk has written.

use dunlin_api::ConsumerState;
use dunlin_file_store::consumer::codec;
use dunlin_file_store::index::{Index, IndexWriter};
use dunlin_file_store::legacy::LegacyIndex;
use dunlin_file_store::raft::{GroupSnapshot, Peers, TermVote, commit_index};
use dunlin_file_store::schedule::ScheduleFile;
use dunlin_file_store::sources::SourcesFile;
use dunlin_file_store::stream_state::ReplicatedState;
use dunlin_file_store::wheel::WheelFile;

/// The first byte says which file the rest is. What is read is written again and read as the same.
pub fn small_files(data: &[u8]) {
    let [kind, bytes @ ..] = data else { return };
    match kind % 9 {
        0 => index(bytes),
        1 => consumer(bytes),
        2 => {
            if let Ok(file) = WheelFile::decode(bytes) {
                assert_eq!(WheelFile::decode(&file.encode()), Ok(file));
            }
        }
        3 => {
            if let Ok(file) = ScheduleFile::decode(bytes) {
                assert_eq!(ScheduleFile::decode(&file.encode()), Ok(file));
            }
        }
        4 => {
            if let Ok(file) = SourcesFile::decode(bytes) {
                assert_eq!(SourcesFile::decode(&file.encode()), Ok(file));
            }
        }
        5 => stream_state(bytes),
        6 => {
            let _ = Peers::decode(bytes);
            let _ = TermVote::decode(bytes);
            let _ = commit_index(bytes);
        }
        7 => {
            let _ = GroupSnapshot::decode(bytes);
        }
        _ => {
            if let Ok(index) = LegacyIndex::decode(bytes, 1) {
                let _ = index.block.messages();
            }
        }
    }
}

fn index(bytes: &[u8]) {
    let Ok(index) = Index::decode(bytes) else { return };
    let _ = index.check();
    assert_eq!(index.subjects().count() as u64, index.state.subjects);
    let mut writer = IndexWriter::begin(&index.state);
    for (subject, entry) in index.subjects() {
        writer.subject(subject, entry);
    }
    let mut writer = writer.blocks(index.blocks.len() as u64);
    index.blocks.iter().for_each(|block| writer.block(block));
    let again = writer.finish(index.end);
    let again = Index::decode(&again).expect("it was written here");
    assert_eq!(
        (&again.state, &again.blocks, again.end),
        (&index.state, &index.blocks, index.end)
    );
    assert!(again.subjects().eq(index.subjects()));
}

fn consumer(bytes: &[u8]) {
    let Ok(state) = codec::decode(bytes) else { return };
    let again = codec::decode(&codec::encode(&state, 0)).expect("it was written here");
    // A count of redeliveries at the floor itself has no place in the file.
    let mut expected = ConsumerState { ..state };
    let floor = expected.ack_floor.stream;
    expected.redelivered.remove(&floor);
    // Seconds that do not fit are no times of this world.
    let times_fit = |state: &ConsumerState| {
        state
            .pending
            .values()
            .all(|pending| pending.time % 1_000_000_000 == 0)
    };
    if times_fit(&expected) {
        assert_eq!(again, expected);
    }
}

fn stream_state(bytes: &[u8]) {
    let Ok(state) = ReplicatedState::decode(bytes) else {
        return;
    };
    let again = ReplicatedState::decode(&state.encode(true)).expect("it was written here");
    let kept: Vec<_> = state
        .sources
        .iter()
        .filter(|source| source.sequence > 0)
        .cloned()
        .collect();
    assert_eq!(again.sources, kept);
    let deleted = |state: &ReplicatedState| {
        let some = state.deleted.iter().map(|block| block.state().2);
        some.fold(0_u64, u64::saturating_add)
    };
    assert_eq!(deleted(&again), deleted(&state));
}
