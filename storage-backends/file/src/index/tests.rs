use proptest::prelude::*;

use super::*;

/// STORE-48: stream TEST, one block with the 35-byte record of STORE-22; without the file's checksum.
const EXAMPLE: &[u8] =
    b"\x0b\x04\x01\x23\x01\x80\x80\xd0\xe2\xc6\xbf\xce\x97\x2f\x01\x80\x80\xd0\xe2\xc6\xbf\xce\x97\x2f\
    \x01\x03foo\x01\x01\x01\x01\x01\x23\x01\x00\x01\x00\x00\x00\x00\x01\x68\xcf\x1d\x9f\xb8\x27\xb6\x1f";

const TIME: i64 = 1_700_000_000_000_000_000;

/// Writes a decoded index again.
pub(crate) fn rewrite(index: &Index<'_>) -> Vec<u8> {
    let mut writer = IndexWriter::begin(&index.state);
    for (subject, entry) in index.subjects() {
        writer.subject(subject, entry);
    }
    let mut writer = writer.blocks(index.blocks.len() as u64);
    index.blocks.iter().for_each(|block| writer.block(block));
    writer.finish(index.end)
}

fn said(bytes: &[u8]) -> String {
    let checked = Index::decode(bytes).and_then(|index| index.check());
    checked.map_or_else(|error| error.to_string(), |()| "good".to_owned())
}

// STORE-48
#[test]
fn the_example_of_the_sheet_is_read_and_written() {
    let index = Index::decode(EXAMPLE).unwrap();
    let state = StreamState {
        messages: 1,
        bytes: 35,
        first: 1,
        first_time: TIME,
        last: 1,
        last_time: TIME,
        subjects: 1,
    };
    assert_eq!(index.state, state);
    let block = BlockEntry {
        index: 1,
        bytes: 35,
        first: 1,
        first_time: TIME,
        last: 1,
        last_time: TIME,
        ..BlockEntry::default()
    };
    assert_eq!(
        (index.blocks.as_slice(), block.messages()),
        (&[block.clone()][..], 1)
    );
    let entry = SubjectEntry {
        messages: 1,
        first_block: 1,
        last_block: 1,
    };
    assert_eq!(index.subjects().collect::<Vec<_>>(), [(&b"foo"[..], entry)]);
    assert_eq!(said(EXAMPLE), "good");
    assert_eq!(rewrite(&index), EXAMPLE);
}

// STORE-47
#[test]
fn older_versions_have_fewer_figures() {
    // Version 1: a subject of one message has one block, a block no counts of TTLs and schedules.
    let old = b"\x0b\x01\x03\x5a\x01\x00\x03\x00\x02\x03foo\x01\x01\x03bar\x02\x01\x02\
        \x01\x02\x5a\x01\x00\x03\x00\x00\x02abcdefgh";
    let index = Index::decode(old).unwrap();
    let blocks = |entry: SubjectEntry| (entry.messages, entry.first_block, entry.last_block);
    let subjects: Vec<_> = index.subjects().map(|(_, entry)| blocks(entry)).collect();
    assert_eq!(subjects, [(1, 1, 1), (2, 1, 2)]);
    assert_eq!(
        index.end,
        IndexEnd {
            block: 2,
            checksum: *b"abcdefgh"
        }
    );
    assert_eq!(index.check(), Ok(()));
    // Version 2 has the first of the two counts, version 3 both.
    for (version, counts) in [(2, &b"\x05"[..]), (3, b"\x05\x06")] {
        let at = old.len() - 9;
        let mut newer = [&old[..at], counts, &old[at..]].concat();
        newer[1] = version;
        let index = Index::decode(&newer).unwrap();
        let expected = (5, if version == 3 { 6 } else { 0 });
        assert_eq!((index.blocks[0].ttls, index.blocks[0].schedules), expected);
    }
}

// STORE-117 [TestFileStoreRecoverFullStateDetectCorruptState, TestFileStoreCorruptPSIMOnDisk]
#[test]
fn what_cannot_be_trusted_is_refused_in_the_words_of_the_reference() {
    let changed = |at: usize, byte: u8| {
        let mut bytes = EXAMPLE.to_vec();
        bytes[at] = byte;
        bytes
    };
    let cut = |at: usize| EXAMPLE[..at].to_vec();
    for (bytes, expected) in [
        (vec![], "Stream state magic and version mismatch"),
        (changed(0, 12), "Stream state magic and version mismatch"),
        (changed(1, 5), "Stream state magic and version mismatch"),
        (changed(1, 0), "Stream state magic and version mismatch"),
        (changed(24, 100), "Stream state bad subject count (100)"),
        (changed(25, 100), "Stream state bad subject len (100)"),
        (changed(27, 0), "Stream state corrupt subject detected"),
        (changed(27, b'.'), "good"),
        (changed(26, b'.'), "Stream state corrupt subject detected"),
        (changed(32, 100), "Stream state bad block count (100)"),
        (
            changed(39, 1),
            "Stream state error decoding avl dmap: ss: bad encoding",
        ),
        (cut(EXAMPLE.len() - 1), "Stream state has no checksum present"),
        (
            changed(42, 2),
            "Stream state block does not exist or index mismatch",
        ),
        (
            changed(2, 2),
            "Stream state encountered internal inconsistency on recover",
        ),
        (
            changed(3, 2),
            "Stream state encountered internal inconsistency on recover",
        ),
        (
            changed(14, 2),
            "Stream state encountered internal inconsistency on recover",
        ),
    ] {
        assert_eq!(said(&bytes), expected, "{bytes:02x?}");
    }
}

// STORE-48
#[test]
fn an_empty_subject_is_passed_over() {
    let mut bytes = EXAMPLE.to_vec();
    bytes[24] = 2;
    bytes.insert(25, 0);
    let index = Index::decode(&bytes).unwrap();
    assert_eq!(index.subjects().count(), 1);
    assert_eq!(index.check(), Ok(()));
}

// STORE-181: a count sizes nothing, and no cut or changed byte ends otherwise than in an answer.
#[test]
fn any_cut_and_any_changed_byte_is_answered() {
    for at in 0..EXAMPLE.len() {
        let _ = Index::decode(&EXAMPLE[..at]);
        for byte in 0..=255 {
            let mut bytes = EXAMPLE.to_vec();
            bytes[at] = byte;
            let _ = said(&bytes);
        }
    }
}

fn subject_entry() -> impl Strategy<Value = (String, SubjectEntry)> {
    let entry = (any::<u64>(), any::<u32>(), any::<u32>());
    ("[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", entry).prop_map(|(subject, (messages, first_block, last_block))| {
        let entry = SubjectEntry {
            messages,
            first_block,
            last_block,
        };
        (subject, entry)
    })
}

prop_compose! {
    fn block_entry()(
        index: u32,
        figures in any::<(u64, u64, u64)>(),
        span in (1..u64::MAX / 2, 0..10_000_u64),
        times in any::<(i64, i64)>(),
        gone in proptest::collection::vec(0..10_000_u64, 0..20),
    ) -> BlockEntry {
        let (first, length) = span;
        BlockEntry {
            index,
            bytes: figures.0,
            ttls: figures.1,
            schedules: figures.2,
            first,
            first_time: times.0,
            last: first + length,
            last_time: times.1,
            deleted: gone.into_iter().filter(|at| *at < length).map(|at| first + at).collect(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        figures in any::<(u64, u64, u64, u64)>(),
        times in any::<(i64, i64)>(),
        subjects in proptest::collection::vec(subject_entry(), 0..20),
        blocks in proptest::collection::vec(block_entry(), 0..20),
        end in any::<(u32, [u8; 8])>(),
    ) {
        let state = StreamState {
            messages: figures.0,
            bytes: figures.1,
            first: figures.2,
            first_time: times.0,
            last: figures.3,
            last_time: times.1,
            subjects: subjects.len() as u64,
        };
        let end = IndexEnd { block: end.0, checksum: end.1 };
        let mut writer = IndexWriter::begin(&state);
        for (subject, entry) in &subjects {
            writer.subject(subject.as_bytes(), *entry);
        }
        let mut writer = writer.blocks(blocks.len() as u64);
        blocks.iter().for_each(|block| writer.block(block));
        let bytes = writer.finish(end);
        let index = Index::decode(&bytes).unwrap();
        prop_assert_eq!(&index.state, &state);
        prop_assert_eq!(&index.blocks, &blocks);
        prop_assert_eq!(index.end, end);
        let read: Vec<_> = index.subjects().collect();
        let expected: Vec<_> = subjects.iter().map(|(subject, entry)| (subject.as_bytes(), *entry)).collect();
        prop_assert_eq!(read, expected);
        prop_assert_eq!(rewrite(&index), bytes);
    }
}
