//! A store that is as small as a store can be, over a disk that a test can fail, and the model that it is held against.
//!
//! Each stream has blocks of records, one small file and one consumer. Records are numbered and never alike, so whatever comes back after a crash
//! shows when it was written.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dunlin_api::{Disk, DiskFile, Env, Instant, Logger, MemoryDisk, OpenMode};
use dunlin_journal::{
    Batch, BlockEnd, Found, Incarnation, Item, Journal, JournalError, Next, Options, Promise, Recovery,
    Replay, Rest, Scope, Target, Verdict, Writer, replay_block,
};
use dunlin_net::sim::{SimWorld, sim_env_with};
use std::sync::Mutex;

pub(crate) fn env(disk: &MemoryDisk) -> Env {
    let network = SimWorld::new(1).host(IpAddr::V4(Ipv4Addr::LOCALHOST));
    sim_env_with(1, network, Logger::silent(), disk.clone())
}

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        ..Options::new("/journal")
    }
}

/// An open block, whose name is not durable at first.
pub(crate) struct Block {
    disk: MemoryDisk,
    directory: PathBuf,
    file: Box<dyn DiskFile>,
    pub(crate) failures: AtomicU64,
    pub(crate) writes: AtomicU64,
}

impl Block {
    pub(crate) fn open(disk: &MemoryDisk, path: &Path) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            disk: disk.clone(),
            directory: path.parent().unwrap().to_owned(),
            file: disk.open(path, OpenMode::ReadWrite)?,
            failures: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        }))
    }
}

impl Target for Block {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.writes.fetch_add(1, Relaxed);
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()?;
        self.disk.sync_dir(&self.directory)
    }

    fn failed(&self, _: &JournalError) {
        self.failures.fetch_add(1, Relaxed);
    }
}

/// A small file; what was written is durable with the next sync.
pub(crate) struct Small {
    disk: MemoryDisk,
    path: PathBuf,
    content: Mutex<Vec<u8>>,
}

impl Target for Small {
    fn write(&self, bytes: &[u8], _: u64) -> io::Result<()> {
        *self.content.lock().unwrap() = bytes.to_vec();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let content = self.content.lock().unwrap().clone();
        self.disk.replace(&self.path, &content)
    }

    fn failed(&self, _: &JournalError) {}
}

/// `length, stream, sequence, stamp, filler, checksum`; the checksum is good enough for zeros and mixtures.
pub(crate) fn record(stream: u32, sequence: u64, stamp: u64, filler: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = u32::try_from(4 + 4 + 8 + 8 + filler + 8).unwrap();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&stamp.to_le_bytes());
    bytes.extend((0..filler).map(|at| (stamp as usize + at) as u8));
    let checksum = sum(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The length, sequence and stamp of the record that `bytes` begin with.
pub(crate) fn parse(bytes: &[u8]) -> Option<(usize, u64, u64)> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().unwrap()));
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().unwrap()) as usize;
    let end = length.checked_sub(8).filter(|end| *end >= 24)?;
    (number(end)? == sum(bytes.get(..end)?)).then_some((length, number(8)?, number(16)?))
}

/// The last eight of the first `length` bytes.
fn checksum_at(file: &dyn DiskFile, length: u64) -> io::Result<Option<[u8; 8]>> {
    let mut bytes = [0; 8];
    let Some(offset) = length.checked_sub(8) else {
        return Ok(None);
    };
    Ok((file.read_at(&mut bytes, offset)? == 8).then_some(bytes))
}

/// What replay does with the directories of [`Store`].
pub(crate) struct Restorer {
    disk: MemoryDisk,
    touched: Vec<(PathBuf, Box<dyn DiskFile>)>,
    consumers: BTreeMap<PathBuf, u64>,
    pub(crate) log: Vec<String>,
}

impl Restorer {
    pub(crate) fn new(disk: &MemoryDisk) -> Self {
        Self {
            disk: disk.clone(),
            touched: Vec::new(),
            consumers: BTreeMap::new(),
            log: Vec::new(),
        }
    }
}

impl Replay for Restorer {
    fn apply(&mut self, stream: &Incarnation, item: Found<'_>) -> io::Result<Verdict> {
        let name = std::str::from_utf8(stream.as_bytes()).unwrap();
        let (directory, _) = name.split_once('@').unwrap();
        let directory = Path::new("/s").join(directory);
        // The file says which life of the stream this is.
        match self.disk.read(&directory.join("life")) {
            Ok(life) if life == stream.as_bytes() => {}
            _ => return Ok(Verdict::Gone),
        }
        match item {
            Found::Block {
                block, before, bytes, ..
            } => {
                self.log.push(format!("{name} {block} {}", bytes.len()));
                let path = directory.join(format!("{block}.blk"));
                let file = self.disk.open(&path, OpenMode::ReadWrite)?;
                let checksum = checksum_at(file.as_ref(), before.length)?;
                let verdict = replay_block(file.as_ref(), checksum, item, &|_, bytes| {
                    parse(bytes).map(|(length, ..)| length)
                })?;
                self.touched.push((directory, file));
                Ok(verdict)
            }
            Found::File { name, bytes } => {
                self.disk.replace(&directory.join(name), bytes)?;
                Ok(Verdict::Applied)
            }
            Found::Consumer { bytes, .. } => {
                let value = u64::from_le_bytes(bytes.try_into().unwrap());
                let known = self.consumers.entry(directory).or_default();
                *known = value.max(*known);
                Ok(Verdict::Applied)
            }
            Found::Raft { .. } => Ok(Verdict::Gone),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        for (directory, file) in self.touched.drain(..) {
            file.sync()?;
            self.disk.sync_dir(&directory)?;
        }
        for (directory, value) in std::mem::take(&mut self.consumers) {
            let path = directory.join("consumer");
            let old = self.disk.read(&path).map_or(0, |bytes| number(&bytes));
            self.disk.replace(&path, &value.max(old).to_le_bytes())?;
        }
        Ok(())
    }
}

pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// One stream as its owner has it, and what must come back.
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) life: u64,
    pub(crate) block: u32,
    pub(crate) end: BlockEnd,
    pub(crate) target: Arc<Block>,
    pub(crate) file: Arc<Small>,
    pub(crate) consumer: Arc<Small>,
    /// The stamp of each sequence that was handed in and not given up.
    pub(crate) stamps: BTreeMap<u64, u64>,
    /// Block of each of them.
    pub(crate) blocks: BTreeMap<u64, u32>,
    pub(crate) next: u64,
    pub(crate) acked: Arc<AtomicU64>,
    /// From here on everything must be there.
    pub(crate) first: Arc<AtomicU64>,
    /// Before this nothing may be there.
    pub(crate) gone: Arc<AtomicU64>,
    pub(crate) file_acked: Arc<AtomicU64>,
    pub(crate) file_sent: u64,
    pub(crate) consumer_acked: Arc<AtomicU64>,
    pub(crate) consumer_sent: u64,
}

impl Stream {
    pub(crate) fn incarnation(&self) -> Incarnation {
        Incarnation::new(format!("{}@{}", self.id, self.life).into_bytes())
    }

    pub(crate) fn directory(&self) -> PathBuf {
        directory(self.id)
    }

    fn block_path(&self, block: u32) -> PathBuf {
        self.directory().join(format!("{block}.blk"))
    }
}

pub(crate) fn directory(id: u32) -> PathBuf {
    Path::new("/s").join(id.to_string())
}

/// Streams over one disk and one journal.
pub(crate) struct Store {
    pub(crate) disk: MemoryDisk,
    pub(crate) journal: Journal,
    pub(crate) writer: Writer,
    pub(crate) now: Instant,
    pub(crate) stamp: u64,
    pub(crate) recovery: Recovery,
}

impl Store {
    pub(crate) fn open(disk: &MemoryDisk, options: Options) -> Store {
        let env = env(disk);
        let mut restorer = Restorer::new(disk);
        let (journal, writer, recovery) = Journal::open(&env, options, &mut restorer).unwrap();
        Store {
            disk: disk.clone(),
            journal,
            writer,
            now: env.now(),
            stamp: 0,
            recovery,
        }
    }

    /// A new stream, or a new life of an old one, durably.
    pub(crate) fn create(&mut self, id: u32, life: u64) -> io::Result<Stream> {
        let directory = directory(id);
        self.disk.create_dir(&directory)?;
        self.disk.sync_dir(Path::new("/"))?;
        self.disk.sync_dir(Path::new("/s"))?;
        self.disk
            .replace(&directory.join("life"), format!("{id}@{life}").as_bytes())?;
        let small = |name: &str| {
            Arc::new(Small {
                disk: self.disk.clone(),
                path: directory.join(name),
                content: Mutex::new(0u64.to_le_bytes().to_vec()),
            })
        };
        Ok(Stream {
            id,
            life,
            block: 1,
            end: BlockEnd::default(),
            target: Block::open(&self.disk, &directory.join("1.blk"))?,
            file: small("file"),
            consumer: small("consumer"),
            stamps: BTreeMap::new(),
            blocks: BTreeMap::new(),
            next: 1,
            acked: Arc::default(),
            first: Arc::new(AtomicU64::new(1)),
            gone: Arc::new(AtomicU64::new(1)),
            file_acked: Arc::default(),
            file_sent: 0,
            consumer_acked: Arc::default(),
            consumer_sent: 0,
        })
    }

    /// Encodes `count` records for the end of the stream's block.
    pub(crate) fn append_item(&mut self, stream: &mut Stream, count: u64, filler: usize) -> Item {
        let mut bytes = Vec::new();
        for _ in 0..count {
            self.stamp += 1;
            bytes.extend(record(stream.id, stream.next, self.stamp, filler));
            stream.stamps.insert(stream.next, self.stamp);
            stream.blocks.insert(stream.next, stream.block);
            stream.next += 1;
        }
        let item = Item::Block {
            stream: stream.incarnation(),
            block: stream.block,
            offset: stream.end.length,
            before: stream.end,
            bytes: Arc::new(bytes.clone()),
            target: stream.target.clone(),
        };
        stream.end.length += bytes.len() as u64;
        stream.end.checksum = bytes.last_chunk().copied().unwrap_or_default();
        item
    }

    pub(crate) fn append(&mut self, stream: &mut Stream, count: u64, filler: usize) {
        let item = self.append_item(stream, count, filler);
        let (acked, last) = (stream.acked.clone(), stream.next - 1);
        self.submit(vec![item], move |result| {
            if result.is_ok() {
                acked.fetch_max(last, Relaxed);
            }
        });
    }

    pub(crate) fn roll(&mut self, stream: &mut Stream) -> io::Result<()> {
        stream.block += 1;
        stream.end = BlockEnd::default();
        stream.target = Block::open(&self.disk, &stream.block_path(stream.block))?;
        Ok(())
    }

    pub(crate) fn write_file(&mut self, stream: &mut Stream) {
        stream.file_sent += 1;
        let (sent, acked) = (stream.file_sent, stream.file_acked.clone());
        let item = Item::File {
            stream: stream.incarnation(),
            name: "file".into(),
            bytes: Arc::new(sent.to_le_bytes().to_vec()),
            target: stream.file.clone(),
        };
        self.submit(vec![item], move |result| {
            if result.is_ok() {
                acked.fetch_max(sent, Relaxed);
            }
        });
    }

    pub(crate) fn consume(&mut self, stream: &mut Stream) {
        stream.consumer_sent += 1;
        let (sent, acked) = (stream.consumer_sent, stream.consumer_acked.clone());
        let bytes = sent.to_le_bytes().to_vec();
        *stream.consumer.content.lock().unwrap() = bytes.clone();
        let item = Item::Consumer {
            stream: stream.incarnation(),
            name: "C".into(),
            bytes: Arc::new(bytes),
            target: stream.consumer.clone(),
        };
        self.submit(vec![item], move |result| {
            if result.is_ok() {
                acked.fetch_max(sent, Relaxed);
            }
        });
    }

    /// Says that something is forgotten, and waits for it; false when the journal cannot.
    pub(crate) fn forget(&mut self, stream: &Stream, scope: Scope, rest: Rest) -> bool {
        let item = Item::Forget {
            stream: stream.incarnation(),
            scope,
            rest,
        };
        let answer = Arc::new(Mutex::new(None));
        let told = answer.clone();
        self.submit(vec![item], move |result| *told.lock().unwrap() = Some(result));
        for _ in 0..100 {
            self.turn();
            if let Some(result) = answer.lock().unwrap().take() {
                return result.is_ok();
            }
        }
        panic!("no answer");
    }

    /// Removes the oldest block that is not the last.
    pub(crate) fn drop_oldest(&mut self, stream: &mut Stream) -> io::Result<()> {
        let Some(oldest) = stream.blocks.values().next().copied() else {
            return Ok(());
        };
        let acked = stream.acked.load(Relaxed);
        let next = stream.blocks.iter().find(|(_, block)| **block > oldest);
        let Some((next, _)) = next.filter(|(next, _)| **next <= acked) else {
            return Ok(());
        };
        let next = *next;
        // From here on it may be there or not.
        stream.first.store(next, Relaxed);
        if self.forget(stream, Scope::Block(oldest), Rest::Drop) {
            self.disk.remove(&stream.block_path(oldest))?;
            self.disk.sync_dir(&stream.directory())?;
            stream.gone.store(next, Relaxed);
            stream.blocks.retain(|_, block| *block != oldest);
        }
        Ok(())
    }

    /// Rewrites the stream's first block without its first record, when all of it is durable.
    pub(crate) fn compact(&mut self, stream: &mut Stream) -> io::Result<()> {
        let first = stream.first.load(Relaxed);
        let acked = stream.acked.load(Relaxed);
        let (Some(block), true) = (stream.blocks.get(&first).copied(), first < acked) else {
            return Ok(());
        };
        let all: Vec<u64> = stream
            .blocks
            .iter()
            .filter(|(_, of)| **of == block)
            .map(|(s, _)| *s)
            .collect();
        if block != stream.blocks[&(first + 1)] || all.last().is_none_or(|last| *last > acked) {
            return Ok(());
        }
        stream.first.store(first + 1, Relaxed);
        if !self.forget(stream, Scope::Block(block), Rest::Settle) {
            return Ok(());
        }
        let path = stream.block_path(block);
        let old = self.disk.read(&path)?;
        let mut new = Vec::new();
        let mut rest = &old[..];
        while let Some((length, sequence, _)) = parse(rest) {
            if sequence > first {
                new.extend_from_slice(&rest[..length]);
            }
            rest = &rest[length..];
        }
        self.disk.replace(&path, &new)?;
        stream.gone.store(first + 1, Relaxed);
        stream.blocks.remove(&first);
        if block == stream.block {
            stream.end.length = new.len() as u64;
            stream.target = Block::open(&self.disk, &path)?;
        }
        Ok(())
    }

    pub(crate) fn submit(
        &self,
        items: Vec<Item>,
        done: impl FnOnce(Result<(), JournalError>) + Send + 'static,
    ) {
        self.journal.submit(Batch {
            items,
            promise: Promise::Durable,
            done: Box::new(done),
        });
    }

    pub(crate) fn turn(&mut self) -> Next {
        self.now += Duration::from_millis(7);
        self.writer.turn(self.now)
    }

    pub(crate) fn later(&mut self, time: Duration) {
        self.now += time;
    }

    /// Takes turns until nothing is to be done at once.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.turn() != Next::Now {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Looks at what is on disk of a stream after [`Store::open`], cuts what is torn, and goes on from there.
    ///
    /// # Panics
    /// Something is missing, or back, or out of order.
    pub(crate) fn verify(&mut self, stream: &mut Stream) {
        let what = format!("stream {}", stream.id);
        let mut found = Vec::new();
        let mut numbers: Vec<u32> = self
            .disk
            .list(&stream.directory())
            .unwrap()
            .iter()
            .filter_map(|path| path.file_name()?.to_str()?.strip_suffix(".blk")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        stream.blocks.clear();
        // Where not even a name is left, the last block begins again.
        stream.end = BlockEnd::default();
        for block in &numbers {
            let path = stream.block_path(*block);
            let bytes = self.disk.read(&path).unwrap();
            let (mut at, mut checksum) = (0, [0; 8]);
            while let Some((length, sequence, stamp)) = parse(&bytes[at..]) {
                found.push((sequence, stamp));
                stream.blocks.insert(sequence, *block);
                at += length;
                checksum = *bytes[..at].last_chunk().unwrap();
            }
            let file = self.disk.open(&path, OpenMode::ReadWrite).unwrap();
            file.set_len(at as u64).unwrap();
            file.sync().unwrap();
            self.disk.sync_dir(&stream.directory()).unwrap();
            stream.block = *block;
            stream.end = BlockEnd {
                length: at as u64,
                checksum,
            };
        }
        let (first, gone) = (stream.first.load(Relaxed), stream.gone.load(Relaxed));
        let acked = stream.acked.load(Relaxed);
        self.finish_drop(stream, first, &mut found);
        for pair in found.windows(2) {
            assert_eq!(pair[0].0 + 1, pair[1].0, "{what}: order {found:?}");
        }
        for (sequence, stamp) in &found {
            assert!(
                *sequence >= gone,
                "{what}: {sequence} is back, {gone} was the first"
            );
            assert_eq!(
                stream.stamps.get(sequence),
                Some(stamp),
                "{what}: {sequence} is another"
            );
        }
        if acked >= first {
            let last = found.last().map_or(0, |(sequence, _)| *sequence);
            assert!(
                last >= acked,
                "{what}: {acked} was acknowledged, {last} is the last"
            );
            let lowest = found.first().map_or(u64::MAX, |(sequence, _)| *sequence);
            assert!(
                lowest <= first,
                "{what}: {first} must be there, {lowest} is the first"
            );
        }
        let read = |name: &str| {
            self.disk
                .read(&stream.directory().join(name))
                .map_or(0, |bytes| number(&bytes))
        };
        let (file, consumer) = (read("file"), read("consumer"));
        assert!(
            (stream.file_acked.load(Relaxed)..=stream.file_sent).contains(&file),
            "{what}: file {file}"
        );
        let range = stream.consumer_acked.load(Relaxed)..=stream.consumer_sent;
        assert!(
            range.contains(&consumer),
            "{what}: consumer {consumer} of {range:?}"
        );
        self.resume(stream, &found, file, consumer);
    }

    /// Goes on with what was found.
    fn resume(&mut self, stream: &mut Stream, found: &[(u64, u64)], file: u64, consumer: u64) {
        let (gone, acked) = (stream.gone.load(Relaxed), stream.acked.load(Relaxed));
        stream.next = found
            .last()
            .map_or(gone.max(acked + 1), |(sequence, _)| sequence + 1);
        if let Some((lowest, _)) = found.first() {
            stream.first.store(*lowest, Relaxed);
        }
        stream.stamps.retain(|sequence, _| *sequence < stream.next);
        stream.acked = Arc::new(AtomicU64::new(stream.next - 1));
        stream.file_acked = Arc::new(AtomicU64::new(file));
        stream.file_sent = file;
        stream.consumer_acked = Arc::new(AtomicU64::new(consumer));
        stream.consumer_sent = consumer;
        let path = stream.block_path(stream.block);
        stream.target = Block::open(&self.disk, &path).unwrap();
        let small = |name: &str, value: u64| {
            Arc::new(Small {
                disk: self.disk.clone(),
                path: stream.directory().join(name),
                content: Mutex::new(value.to_le_bytes().to_vec()),
            })
        };
        (stream.file, stream.consumer) = (small("file", file), small("consumer", consumer));
    }

    /// A block that was being removed may be there in part; its removal is finished.
    fn finish_drop(&mut self, stream: &mut Stream, first: u64, found: &mut Vec<(u64, u64)>) {
        let mut last = BTreeMap::new();
        for (sequence, block) in &stream.blocks {
            last.insert(*block, *sequence);
        }
        for (block, last) in last {
            if last < first && block != stream.block {
                self.disk.remove(&stream.block_path(block)).unwrap();
                self.disk.sync_dir(&stream.directory()).unwrap();
                stream.blocks.retain(|_, of| *of != block);
                found.retain(|(sequence, _)| stream.blocks.contains_key(sequence));
            }
        }
    }
}
