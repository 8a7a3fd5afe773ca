//! The bytes of the journal: segment headers, frames, items. Pure: no file and no clock.
//!
//! A segment is a header of one [`BLOCK`], then frames, each beginning at a multiple of it: what was synced shares no block with what is
//! written later. All numbers are little-endian.
//!
//! | segment header | | frame header | |
//! |---|---|---|---|
//! | 0 | `DunlinJ\n` | 0 | `DJf1` |
//! | 8 | u32 format version | 4 | u32 count of items |
//! | 12 | u32 zero | 8 | u64 length of the items |
//! | 16 | u64 generation | 16 | u64 generation of the segment |
//! | 24 | u64 number of the first frame | 24 | u64 number |
//! | 32 | u64 checksum of 0..32 | 32 | u64 number of the last frame that is checkpointed |
//! | | | 40 | u64 checksum of 0..40 and the items |
//!
//! A frame of an earlier use of the segment has another generation. An item is a kind, the stream (u16 length, bytes), and what the kind has.

use std::sync::Arc;

use highway::{HighwayHash, HighwayHasher, Key};

use crate::item::{BlockEnd, Item, Scope};
use crate::replay::Found;

/// What frames are aligned to: a page, which file systems and disks write as one.
pub(crate) const BLOCK: u64 = 4096;

/// The format that this release writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;

/// Bytes before the items of a frame.
pub(crate) const FRAME_HEADER: usize = 48;

const SEGMENT_MAGIC: [u8; 8] = *b"DunlinJ\n";
const FRAME_MAGIC: [u8; 4] = *b"DJf1";

/// Sets these checksums apart from those of records, which may lie in a frame as they are.
const KEY: Key = Key([0x6475_6e6c_696e_2d6a, 0x6f75_726e_616c_2d31, 1, 1]);

/// The start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Rises with each use of a segment, over all segments.
    pub(crate) generation: u64,
    /// Number of its first frame. Frames of earlier generations with this number or a greater one are void.
    pub(crate) first: u64,
}

/// What stands at the start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentStart {
    /// A header of this format.
    Header(SegmentHeader),
    /// A header of a later format.
    Newer(u32),
    /// Nothing, or nothing whole: the segment was never used.
    Unused,
}

impl SegmentHeader {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BLOCK as usize);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&checksum(&[&bytes]).to_le_bytes());
        bytes.resize(BLOCK as usize, 0);
        bytes
    }
}

impl SegmentStart {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self::of(&mut Reader(bytes), bytes).unwrap_or(Self::Unused)
    }

    fn of(reader: &mut Reader<'_>, bytes: &[u8]) -> Option<Self> {
        if reader.take(8)? != SEGMENT_MAGIC {
            return None;
        }
        let version = reader.u32()?;
        // A later format may have its checksum elsewhere. One flipped bit must not pass for it.
        let plausible = (VERSION + 1..VERSION + 1000).contains(&version);
        let (_, generation, first) = (reader.u32()?, reader.u64()?, reader.u64()?);
        let whole = reader.u64()? == checksum(&[bytes.get(..32)?]);
        match version {
            VERSION if whole => Some(Self::Header(SegmentHeader { generation, first })),
            newer if plausible => Some(Self::Newer(newer)),
            _ => None,
        }
    }
}

/// The start of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) items: u32,
    pub(crate) length: u64,
    pub(crate) generation: u64,
    pub(crate) number: u64,
    /// Items of frames up to this one are in their targets and synced.
    pub(crate) settled: u64,
    checksum: u64,
}

impl FrameHeader {
    /// The header at the start of `bytes`, if one begins there; not yet checked.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take(4)? != FRAME_MAGIC {
            return None;
        }
        Some(Self {
            items: reader.u32()?,
            length: reader.u64()?,
            generation: reader.u64()?,
            number: reader.u64()?,
            settled: reader.u64()?,
            checksum: reader.u64()?,
        })
    }

    /// Bytes that the frame takes up in its segment; `None` for more than there can be.
    pub(crate) fn span(&self) -> Option<u64> {
        (FRAME_HEADER as u64)
            .checked_add(self.length)?
            .checked_next_multiple_of(BLOCK)
    }

    /// Whether `frame`, header and items, is what was written.
    pub(crate) fn verifies(&self, frame: &[u8]) -> bool {
        match (frame.get(..40), frame.get(FRAME_HEADER..)) {
            (Some(header), Some(items)) => {
                items.len() as u64 == self.length && self.checksum == checksum(&[header, items])
            }
            _ => false,
        }
    }
}

/// Builds one frame after the other in one buffer.
#[derive(Default)]
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
    items: u32,
}

impl FrameBuilder {
    /// Begins an empty frame.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER, 0);
        self.items = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Bytes that the frame takes up as it is.
    pub(crate) fn span(&self) -> u64 {
        (self.bytes.len() as u64).next_multiple_of(BLOCK)
    }

    pub(crate) fn push(&mut self, item: &Item) {
        let bytes = &mut self.bytes;
        self.items += 1;
        bytes.push(kind(item));
        put_short(bytes, item.incarnation().as_bytes());
        match item {
            Item::Block {
                block,
                offset,
                before,
                bytes: content,
                ..
            } => {
                bytes.extend_from_slice(&block.to_le_bytes());
                bytes.extend_from_slice(&offset.to_le_bytes());
                bytes.extend_from_slice(&before.length.to_le_bytes());
                bytes.extend_from_slice(&before.checksum);
                put_long(bytes, content);
            }
            Item::File {
                name, bytes: content, ..
            }
            | Item::Consumer {
                name, bytes: content, ..
            } => {
                put_short(bytes, name.as_bytes());
                put_long(bytes, content);
            }
            Item::Raft { bytes: content, .. } => put_long(bytes, content),
            Item::Forget { scope, .. } => put_scope(bytes, scope),
        }
    }

    /// Adds an item as it stood in another frame.
    pub(crate) fn push_raw(&mut self, item: &[u8]) {
        self.items += 1;
        self.bytes.extend_from_slice(item);
    }

    /// The frame, padded to whole blocks.
    pub(crate) fn finish(&mut self, generation: u64, number: u64, settled: u64) -> &[u8] {
        let length = (self.bytes.len() - FRAME_HEADER) as u64;
        let mut header = Vec::with_capacity(FRAME_HEADER);
        header.extend_from_slice(&FRAME_MAGIC);
        header.extend_from_slice(&self.items.to_le_bytes());
        for number in [length, generation, number, settled] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        let items = self.bytes.get(FRAME_HEADER..).unwrap_or_default();
        let checksum = checksum(&[&header, items]);
        header.extend_from_slice(&checksum.to_le_bytes());
        if let Some(place) = self.bytes.get_mut(..FRAME_HEADER) {
            place.copy_from_slice(&header);
        }
        let span = self.bytes.len().next_multiple_of(BLOCK as usize);
        self.bytes.resize(span, 0);
        &self.bytes
    }
}

/// An item as it stands in a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recorded<'a> {
    Data(Found<'a>),
    Forget(Scope),
}

/// An item with its stream, and as the bytes that it is.
pub(crate) struct Parsed<'a> {
    pub(crate) stream: &'a [u8],
    pub(crate) recorded: Recorded<'a>,
    pub(crate) raw: &'a [u8],
}

/// The items of a frame. `None` in the place of one that makes no sense, which ends it.
pub(crate) struct Items<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Items<'a> {
    /// Of a whole frame that [verifies](FrameHeader::verifies).
    pub(crate) fn of(header: &FrameHeader, frame: &'a [u8]) -> Self {
        Self {
            reader: Reader(frame.get(FRAME_HEADER..).unwrap_or_default()),
            left: header.items,
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Option<Parsed<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let before = self.reader.0;
        let item = take_item(&mut self.reader);
        if item.is_none() {
            self.left = 0;
        }
        let used = before.len() - self.reader.0.len();
        Some(item.map(|(stream, recorded)| Parsed {
            stream,
            recorded,
            raw: before.get(..used).unwrap_or_default(),
        }))
    }
}

fn kind(item: &Item) -> u8 {
    match item {
        Item::Block { .. } => 1,
        Item::File { .. } => 2,
        Item::Consumer { .. } => 3,
        Item::Raft { .. } => 4,
        Item::Forget { .. } => 5,
    }
}

fn take_item<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], Recorded<'a>)> {
    let kind = reader.u8()?;
    let stream = reader.short()?;
    let recorded = match kind {
        1 => Recorded::Data(Found::Block {
            block: reader.u32()?,
            offset: reader.u64()?,
            before: BlockEnd {
                length: reader.u64()?,
                checksum: reader.take(8)?.try_into().ok()?,
            },
            bytes: reader.long()?,
        }),
        2 => Recorded::Data(Found::File {
            name: reader.text()?,
            bytes: reader.long()?,
        }),
        3 => Recorded::Data(Found::Consumer {
            name: reader.text()?,
            bytes: reader.long()?,
        }),
        4 => Recorded::Data(Found::Raft {
            bytes: reader.long()?,
        }),
        5 => Recorded::Forget(take_scope(reader)?),
        _ => return None,
    };
    Some((stream, recorded))
}

fn put_scope(bytes: &mut Vec<u8>, scope: &Scope) {
    match scope {
        Scope::Stream => bytes.push(0),
        Scope::Blocks => bytes.push(1),
        Scope::Block(block) => {
            bytes.push(2);
            bytes.extend_from_slice(&block.to_le_bytes());
        }
        Scope::File(name) => {
            bytes.push(3);
            put_short(bytes, name.as_bytes());
        }
        Scope::Consumer(name) => {
            bytes.push(4);
            put_short(bytes, name.as_bytes());
        }
    }
}

fn take_scope(reader: &mut Reader<'_>) -> Option<Scope> {
    Some(match reader.u8()? {
        0 => Scope::Stream,
        1 => Scope::Blocks,
        2 => Scope::Block(reader.u32()?),
        3 => Scope::File(Arc::from(reader.text()?)),
        4 => Scope::Consumer(Arc::from(reader.text()?)),
        _ => return None,
    })
}

/// Names have at most 64 KiB: [`crate::Journal::submit`] refuses longer ones.
fn put_short(bytes: &mut Vec<u8>, name: &[u8]) {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(name.get(..usize::from(length)).unwrap_or_default());
}

fn put_long(bytes: &mut Vec<u8>, content: &[u8]) {
    bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
    bytes.extend_from_slice(content);
}

fn checksum(parts: &[&[u8]]) -> u64 {
    let mut hasher = HighwayHasher::new(KEY);
    for part in parts {
        hasher.append(part);
    }
    hasher.finalize64()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
        self.take(usize::from(length))
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.short()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::item::{Incarnation, Rest};
    use crate::testing::Sink;

    fn items() -> Vec<Item> {
        let stream = Incarnation::new(*b"$G/ORDERS");
        let target = Sink::shared();
        let bytes = Arc::new(b"record".to_vec());
        let block = Item::Block {
            stream: stream.clone(),
            block: 7,
            offset: 4097,
            before: BlockEnd {
                length: 4097,
                checksum: *b"12345678",
            },
            bytes: bytes.clone(),
            target: target.clone(),
        };
        let file = Item::File {
            stream: stream.clone(),
            name: "meta.inf".into(),
            bytes: bytes.clone(),
            target: target.clone(),
        };
        let consumer = Item::Consumer {
            stream: stream.clone(),
            name: "C".into(),
            bytes: Arc::default(),
            target: target.clone(),
        };
        let raft = Item::Raft {
            group: Incarnation::new(*b"S-R3F-1"),
            bytes,
            target,
        };
        let scopes = [
            Scope::Stream,
            Scope::Blocks,
            Scope::Block(9),
            Scope::File("o.dat".into()),
            Scope::Consumer("D".into()),
        ];
        let forgets = scopes.map(|scope| Item::Forget {
            stream: stream.clone(),
            scope,
            rest: Rest::Drop,
        });
        [block, file, consumer, raft].into_iter().chain(forgets).collect()
    }

    fn frame() -> Vec<u8> {
        let mut builder = FrameBuilder::default();
        builder.clear();
        items().iter().for_each(|item| builder.push(item));
        builder.finish(3, 17, 12).to_vec()
    }

    /// The frame that the bytes begin with, if it verifies.
    fn whole(bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
        let header = FrameHeader::decode(bytes)?;
        let end = FRAME_HEADER.checked_add(usize::try_from(header.length).ok()?)?;
        let frame = bytes.get(..end)?;
        header.verifies(frame).then_some((header, frame))
    }

    #[test]
    fn a_frame_reads_back_as_it_was_built() {
        let bytes = frame();
        assert_eq!(bytes.len() as u64, BLOCK);
        let (header, frame) = whole(&bytes).unwrap();
        assert_eq!((header.generation, header.number, header.settled), (3, 17, 12));
        let read: Vec<_> = Items::of(&header, frame).map(Option::unwrap).collect();
        assert_eq!(read.len(), 9);
        for (parsed, item) in read.iter().zip(items()) {
            assert_eq!(parsed.stream, item.incarnation().as_bytes());
            match (&parsed.recorded, item) {
                (
                    Recorded::Data(Found::Block {
                        block,
                        offset,
                        before,
                        bytes,
                    }),
                    Item::Block {
                        block: b,
                        offset: o,
                        before: e,
                        bytes: c,
                        ..
                    },
                ) => assert_eq!((*block, *offset, *before, *bytes), (b, o, e, &c[..])),
                (
                    Recorded::Data(Found::File { name, bytes }),
                    Item::File {
                        name: n, bytes: c, ..
                    },
                )
                | (
                    Recorded::Data(Found::Consumer { name, bytes }),
                    Item::Consumer {
                        name: n, bytes: c, ..
                    },
                ) => assert_eq!((*name, *bytes), (&*n, &c[..])),
                (Recorded::Data(Found::Raft { bytes }), Item::Raft { bytes: c, .. }) => {
                    assert_eq!(*bytes, &c[..]);
                }
                (Recorded::Forget(scope), Item::Forget { scope: s, .. }) => assert_eq!(*scope, s),
                (recorded, item) => panic!("{recorded:?} for {item:?}"),
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed() {
        let bytes = frame();
        let end = whole(&bytes).unwrap().1.len();
        for bit in 0..end * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(whole(&damaged).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_header_reads_back_and_a_newer_one_is_told_apart_from_damage() {
        let header = SegmentHeader {
            generation: 5,
            first: 99,
        };
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, BLOCK);
        assert_eq!(SegmentStart::decode(&bytes), SegmentStart::Header(header));
        assert_eq!(SegmentStart::decode(&[0; 4096]), SegmentStart::Unused);
        assert_eq!(SegmentStart::decode(b"Dunlin"), SegmentStart::Unused);
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert_eq!(SegmentStart::decode(&newer), SegmentStart::Newer(2));
        let mut damaged = bytes;
        damaged[16] ^= 1;
        assert_eq!(SegmentStart::decode(&damaged), SegmentStart::Unused);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), items in 0u32..9) {
            let header = FrameHeader { items, length: 0, generation: 0, number: 0, settled: 0, checksum: 0 };
            prop_assert!(Items::of(&header, &bytes).count() <= 9);
            let _ = (SegmentStart::decode(&bytes), FrameHeader::decode(&bytes).and_then(|header| header.span()));
        }
    }
}
