use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dunlin_api::{Disk, EnvParts, Logger, MemoryDisk, Secret, SeededRandom, Shards, Subject, SystemClock};
use dunlin_net::sim::SimWorld;
use proptest::prelude::*;

use super::*;
use crate::compress;
use crate::crypt::Cipher;
use crate::record::{Record, RecordKind};

/// What is written to the last block, or a new block.
#[derive(Clone, Debug)]
enum Step {
    Store(u8),
    Expiring,
    Scheduled,
    Skip(u64),
    /// Removes the message at a place, counted from the first.
    Remove(usize),
    /// The same, and its record is overwritten.
    Erase(usize),
    Roll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<u8>().prop_map(|subject| Step::Store(subject % 5)),
        1 => Just(Step::Expiring),
        1 => Just(Step::Scheduled),
        1 => (1..5_u64).prop_map(Step::Skip),
        3 => (0..50_usize).prop_map(Step::Remove),
        1 => (0..50_usize).prop_map(Step::Erase),
        1 => Just(Step::Roll),
    ];
    proptest::collection::vec(step, 0..80)
}

/// Blocks as a store would write them, with what they should come to.
#[derive(Default)]
struct Model {
    blocks: Vec<Vec<u8>>,
    /// Subject, size and block of what is left, by sequence.
    left: BTreeMap<u64, (Vec<u8>, u64, u32)>,
    places: BTreeMap<u64, (usize, usize)>,
    expiring: BTreeSet<u64>,
    scheduled: BTreeSet<u64>,
    last: u64,
}

impl Model {
    fn of(steps: &[Step]) -> Self {
        let mut model = Self {
            blocks: vec![Vec::new()],
            ..Self::default()
        };
        for step in steps {
            model.step(step);
        }
        model
    }

    fn append(&mut self, record: &Record<'_>) {
        let block = self.blocks.len() as u32;
        let bytes = self.blocks.last_mut().unwrap();
        record.encode(&RecordKey::new("S", block), bytes).unwrap();
    }

    fn store(&mut self, subject: &[u8], headers: &[u8]) {
        self.last += 1;
        let record = Record {
            kind: RecordKind::Message,
            sequence: self.last,
            time: time(self.last),
            subject,
            headers,
            payload: b"payload",
        };
        let block = self.blocks.len();
        self.places
            .insert(self.last, (block - 1, self.blocks[block - 1].len()));
        self.append(&record);
        self.left.insert(
            self.last,
            (subject.to_vec(), record.length() as u64, block as u32),
        );
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Store(subject) => self.store(&[b'a' + subject], b""),
            Step::Expiring => {
                self.store(b"t", b"NATS/1.0\r\nNats-TTL: 5s\r\n\r\n");
                self.expiring.insert(self.last);
            }
            Step::Scheduled => {
                self.store(
                    b"s",
                    b"NATS/1.0\r\nA: Nats-TTL: 5\r\nNats-Schedule: @every 1s\r\n\r\n",
                );
                self.scheduled.insert(self.last);
            }
            Step::Skip(count) => {
                self.last += count;
                self.append(&Record::skip(self.last, time(self.last)));
            }
            Step::Remove(place) | Step::Erase(place) => {
                let Some(sequence) = self.left.keys().nth(*place).copied() else {
                    return;
                };
                self.append(&Record::tombstone(sequence, time(sequence)));
                self.left.remove(&sequence);
                self.expiring.remove(&sequence);
                self.scheduled.remove(&sequence);
                if matches!(step, Step::Erase(_)) {
                    self.erase(sequence);
                }
            }
            Step::Roll => self.blocks.push(Vec::new()),
        }
    }

    fn erase(&mut self, sequence: u64) {
        let (block, at) = self.places[&sequence];
        let key = RecordKey::new("S", block as u32 + 1);
        let bytes = &mut self.blocks[block];
        let length = Record::decode(&bytes[at..], &key).unwrap().length();
        let random = vec![7; length - crate::record::MIN_LENGTH];
        let mut erased = Vec::new();
        Record::erased(sequence, &random)
            .encode(&key, &mut erased)
            .unwrap();
        bytes[at..at + length].copy_from_slice(&erased);
    }

    fn write(&self, disk: &MemoryDisk) {
        self.write_as(disk, Form::default());
    }

    fn write_as(&self, disk: &MemoryDisk, form: Form) {
        for (index, bytes) in (1..).zip(&self.blocks) {
            let mut bytes = bytes.clone();
            // The last block is never compressed (STORE-30).
            if form.is_compressed && (index as usize) < self.blocks.len() {
                bytes = compress::compress(&bytes).unwrap_or_default();
            }
            if let Some((ring, info)) = form.keys() {
                let (key, file) = ring.generate(&info, KeyScope::Block("S", index), &SeededRandom::new(3));
                key.block_cipher().apply(0, &mut bytes);
                new_file(disk, &owner(form).directory.key(index), &file);
            }
            new_file(disk, &owner(form).directory.block(index), &bytes);
        }
    }

    fn check(&self, recovered: &Recovered) {
        let state = recovered.state;
        assert!(recovered.damage.is_empty(), "{:?}", recovered.damage);
        assert_eq!(state.messages, self.left.len() as u64);
        assert_eq!(
            state.bytes,
            self.left.values().map(|(_, size, _)| size).sum::<u64>()
        );
        let first = self.left.keys().next().copied();
        let none = if self.last > 0 { self.last + 1 } else { 0 };
        assert_eq!(state.first, first.unwrap_or(none));
        assert_eq!(state.first_time, first.map_or(0, time));
        assert_eq!(state.last, self.last);
        if self.last > 0 {
            assert_eq!(state.last_time, time(self.last));
        }
        assert_eq!(
            recovered.expiring,
            self.expiring.iter().copied().collect::<Vec<_>>()
        );
        assert_eq!(
            recovered.scheduled,
            self.scheduled.iter().copied().collect::<Vec<_>>()
        );
        self.check_blocks(recovered);
        self.check_subjects(recovered);
    }

    fn check_blocks(&self, recovered: &Recovered) {
        let mut left = BTreeSet::new();
        for block in &recovered.blocks {
            let inside = (block.first..=block.last).filter(|sequence| !block.deleted.contains(*sequence));
            let inside: Vec<u64> = inside.collect();
            assert_eq!(inside.len() as u64, block.messages);
            assert_eq!(
                block.deleted.len(),
                (block.last + 1 - block.first) - block.messages
            );
            for sequence in &inside {
                assert_eq!(self.left[sequence].2, block.index);
            }
            left.extend(inside);
        }
        assert!(left.iter().eq(self.left.keys()));
    }

    fn check_subjects(&self, recovered: &Recovered) {
        let mut expected: BTreeMap<&[u8], SubjectTotals> = BTreeMap::new();
        for (sequence, (subject, _, block)) in &self.left {
            let totals = expected.entry(subject).or_default();
            if totals.messages == 0 {
                totals.first_block = *block;
            }
            totals.messages += 1;
            (totals.last, totals.last_block) = (*sequence, *block);
        }
        assert_eq!(recovered.state.subjects, expected.len() as u64);
        for (subject, totals) in expected {
            let found = recovered.subjects.get(Subject::new(subject).unwrap());
            assert_eq!(found, Some(&totals));
        }
    }
}

fn time(sequence: u64) -> i64 {
    1_000 + sequence as i64
}

/// What files are wrapped in.
#[derive(Clone, Copy, Debug, Default)]
struct Form {
    cipher: Option<Cipher>,
    is_compressed: bool,
}

impl Form {
    /// The reference's tests run over these six.
    fn all() -> impl Iterator<Item = Self> {
        let ciphers = [None, Some(Cipher::ChaCha), Some(Cipher::Aes)].into_iter();
        ciphers.flat_map(|cipher| {
            [false, true].map(|is_compressed| Self {
                cipher,
                is_compressed,
            })
        })
    }

    fn keys(self) -> Option<(KeyRing, String)> {
        let ring = |cipher| KeyRing::new(cipher, Secret::new("key"), None);
        self.cipher.map(|cipher| (ring(cipher), "$G".to_owned()))
    }
}

fn new_file(disk: &MemoryDisk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, OpenMode::ReadWrite).unwrap();
    file.set_len(0).unwrap();
    file.write_at(bytes, 0).unwrap();
}

fn owner(form: Form) -> BlockOwner {
    BlockOwner {
        directory: MessagesDir::found(Path::new("/s/msgs").to_owned()),
        stream: "S".to_owned(),
        keys: form.keys(),
    }
}

fn env(disk: MemoryDisk) -> Env {
    Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SeededRandom::new(1)),
        network: Box::new(SimWorld::new(1).host([127, 0, 0, 1].into())),
        disk: Box::new(disk),
        execution: Box::new(Shards::start(1).unwrap()),
        logger: Logger::silent(),
    })
}

fn recovered_as(disk: &MemoryDisk, form: Form, threads: usize) -> Recovered {
    let request = Request {
        owner: owner(form),
        track_subjects: true,
        threads,
        progress: Box::new(|_| ()),
    };
    disk.create_dir(request.owner.directory.path()).unwrap();
    recover(&env(disk.clone()), request).unwrap()
}

fn recovered(disk: &MemoryDisk, threads: usize) -> Recovered {
    recovered_as(disk, Form::default(), threads)
}

/// What a model's blocks come to, in each form.
fn in_all_forms(model: &Model) -> Vec<Recovered> {
    let one = |form| {
        let disk = MemoryDisk::default();
        model.write_as(&disk, form);
        recovered_as(&disk, form, 2)
    };
    Form::all().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // STORE-118, STORE-119 [TestFileStoreRecoverWithRemovesAndNoIndexDB, TestFileStoreEraseAndNoIndexRecovery]
    #[test]
    fn blocks_come_to_what_was_written_in_them(steps in steps(), threads in 1..5_usize, form in 0..6_usize) {
        let model = Model::of(&steps);
        let disk = MemoryDisk::default();
        let form = Form::all().nth(form).unwrap();
        model.write_as(&disk, form);
        model.check(&recovered_as(&disk, form, threads));
    }

    // STORE-149 [TestFileStoreBitRot]
    #[test]
    fn a_rotten_byte_is_told_and_costs_the_records_that_it_is_in(place in 0..100_000_usize, byte in 1..=255_u8, form in 0..6_usize) {
        let mut steps = vec![Step::Store(1); 20];
        steps.push(Step::Roll);
        steps.extend(vec![Step::Store(2); 20]);
        let model = Model::of(&steps);
        let form = Form::all().nth(form).unwrap();
        let disk = MemoryDisk::default();
        model.write_as(&disk, form);
        let path = owner(form).directory.block(2);
        let mut rotten = disk.read(&path).unwrap();
        let place = place % rotten.len();
        rotten[place] ^= byte;
        new_file(&disk, &path, &rotten);
        let found = recovered_as(&disk, form, 1);
        prop_assert!(found.state.messages >= 39);
        prop_assert!(!found.damage.is_empty() || found.state.messages == 40);
        // STORE-19: a subject's length is not covered, so there the message may be whole with another subject.
        if found.damage.is_empty() {
            let a_subject = found.subjects.get(Subject::new(b"c").unwrap()).unwrap();
            prop_assert_eq!(a_subject.messages, 19);
        }
    }
}

// STORE-119 [TestFileStoreCorruptedNonOrderedSequences]
#[test]
fn sequences_that_do_not_rise_are_dead() {
    for (sequences, messages, deleted) in [([1, 3, 2, 4], 3, 1), ([1, 2, 2, 3], 3, 0)] {
        let mut model = Model::of(&[]);
        for sequence in sequences {
            model.last = sequence - 1;
            model.store(b"a", b"");
        }
        for found in in_all_forms(&model) {
            assert_eq!(
                (found.state.messages, found.state.deleted()),
                (messages, deleted),
                "{sequences:?}"
            );
            assert_eq!(found.blocks[0].deleted.len(), deleted);
        }
    }
}

// STORE-142 [TestFileStoreDetectDeleteGapWithLastSkipMsg]
#[test]
fn a_skip_behind_a_message_leaves_all_sequences_between_deleted() {
    let model = Model::of(&[Step::Store(1), Step::Skip(3)]);
    for found in in_all_forms(&model) {
        let state = found.state;
        assert_eq!(
            (state.messages, state.first, state.last, state.deleted()),
            (1, 1, 4, 3)
        );
        let block = &found.blocks[0];
        assert_eq!((block.first, block.last, block.deleted.len()), (1, 4, 3));
    }
}

// STORE-142 [TestFileStoreDetectDeleteGapWithOnlySkipMsg]
#[test]
fn skips_alone_only_move_the_sequences_up() {
    let model = Model::of(&[Step::Skip(1), Step::Skip(3)]);
    for found in in_all_forms(&model) {
        let state = found.state;
        assert_eq!(
            (state.messages, state.first, state.last, state.deleted()),
            (0, 5, 4, 0)
        );
        let block = &found.blocks[0];
        assert_eq!((block.first, block.last, block.deleted.len()), (5, 4, 0));
    }
}

// STORE-147 [TestFileStoreMsgBlockHolesAndIndexing]
#[test]
fn holes_between_messages_are_deleted() {
    let mut model = Model::of(&[]);
    for (sequence, subject) in [(2, b"A"), (4, b"B"), (12, b"C")] {
        model.last = sequence - 1;
        model.store(subject, b"");
    }
    for found in in_all_forms(&model) {
        assert!(found.damage.is_empty());
        let block = &found.blocks[0];
        assert_eq!((block.first, block.last, block.messages), (2, 12, 3));
        assert!(block.deleted.iter().eq([3, 5, 6, 7, 8, 9, 10, 11]));
    }
}

// STORE-119: the reference truncates the block there and loses messages 5 to 10.
#[test]
fn a_damaged_record_counts_as_deleted_and_is_told() {
    let steps = vec![Step::Store(1); 10];
    let mut model = Model::of(&steps);
    let (_, at) = model.places[&5];
    model.blocks[0][at + 24] ^= 1;
    let disk = MemoryDisk::default();
    model.write(&disk);
    let recovered = recovered(&disk, 1);
    assert_eq!((recovered.state.messages, recovered.state.last), (9, 10));
    assert_eq!(recovered.damage.len(), 1);
    assert_eq!(recovered.damage[0].sequences(), Some(5..6));
    assert_eq!(recovered.blocks[0].deleted.iter().collect::<Vec<_>>(), [5]);
}

/// A stream that was removed from one place to another keeps how far it had come.
#[test]
fn tombstones_alone_remember_the_last_sequence() {
    let steps = [
        Step::Store(1),
        Step::Store(1),
        Step::Roll,
        Step::Remove(1),
        Step::Roll,
        Step::Remove(0),
    ];
    let model = Model::of(&steps);
    let disk = MemoryDisk::default();
    model.write(&disk);
    disk.remove(&owner(Form::default()).directory.block(1)).unwrap();
    let recovered = recovered(&disk, 2);
    assert_eq!((recovered.state.first, recovered.state.last), (3, 2));
    assert_eq!(recovered.state.last_time, time(2));
}

// STORE-72, STORE-84
#[test]
fn a_raft_log_is_not_counted_by_subject() {
    let mut model = Model::of(&[]);
    for _ in 0..3 {
        model.store(b"", b"");
    }
    let disk = MemoryDisk::default();
    model.write(&disk);
    let found = recovered(&disk, 1);
    assert_eq!((found.state.messages, found.state.subjects), (3, 0));
}
