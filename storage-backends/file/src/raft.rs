//! Small files of the reference's raft groups, read to show them: nothing here is written. (STORE-73)

use std::fmt;

use crate::cursor::Cursor;

/// A peer's name in a group: eight letters and digits made from its server's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PeerId([u8; 8]);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `tav.idx`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TermVote {
    /// The term; 0 where the file is too short to tell.
    pub term: u64,
    /// Who has this server's vote in it.
    pub vote: Option<PeerId>,
}

impl TermVote {
    /// Reads the file. Any bytes mean something, as to the reference.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut cursor = Cursor::new(bytes);
        Self {
            term: cursor.u64().unwrap_or_default(),
            vote: cursor.array().map(PeerId),
        }
    }
}

/// `peers.idx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// How many the group is meant to have.
    pub cluster_size: u32,
    /// Those that are known.
    pub known: Vec<PeerId>,
    /// Whether the group spans domains: 0 undetermined, 1 extended, 2 not.
    pub domain_extension: u16,
}

impl Peers {
    /// Reads the file. `None`: cut off.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let (cluster_size, count) = (cursor.u32()?, cursor.u32()?);
        let known = cursor.take(u64::from(count).checked_mul(8)?)?;
        Some(Self {
            cluster_size,
            known: known.as_chunks().0.iter().copied().map(PeerId).collect(),
            // Groups of old servers have none.
            domain_extension: cursor.u16().unwrap_or_default(),
        })
    }
}

/// The index of `commit.idx`, behind which its checksum stands. `None`: cut off.
pub fn commit_index(bytes: &[u8]) -> Option<(u64, [u8; 8])> {
    let mut cursor = Cursor::new(bytes);
    Some((cursor.u64()?, cursor.array()?))
}

/// The head of a snapshot of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSnapshot<'a> {
    /// Term of the last entry in it.
    pub term: u64,
    /// Index of the last entry in it.
    pub index: u64,
    /// The group's peers then, as in `peers.idx`.
    pub peers: Option<Peers>,
    /// What the group keeps.
    pub data: &'a [u8],
    /// What the checksum is of.
    pub checked: &'a [u8],
    /// The checksum.
    pub checksum: [u8; 8],
}

impl<'a> GroupSnapshot<'a> {
    /// Reads a `snap.<term>.<index>`. `None`: cut off.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (checked, checksum) = bytes.split_last_chunk::<8>()?;
        let mut cursor = Cursor::new(checked);
        let (term, index, length) = (cursor.u64()?, cursor.u64()?, cursor.u32()?);
        let peers = cursor.take(length.into())?;
        Some(Self {
            term,
            index,
            peers: Peers::decode(peers),
            data: cursor.rest(),
            checked,
            checksum: *checksum,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // STORE-73
    #[test]
    fn a_vote_without_a_vote_and_a_file_cut_off_mean_something() {
        let vote = |bytes: &[u8]| TermVote::decode(bytes);
        assert_eq!(vote(b"\x05\0\0"), TermVote::default());
        assert_eq!(vote(b"\x05\0\0\0\0\0\0\0"), TermVote { term: 5, vote: None });
        let voted = vote(b"\x05\0\0\0\0\0\0\0sQnRv29R");
        assert_eq!(
            (voted.term, voted.vote.unwrap().to_string()),
            (5, "sQnRv29R".to_owned())
        );
    }

    // STORE-73
    #[test]
    fn peers_are_as_many_as_the_bytes_hold() {
        let bytes = b"\x03\0\0\0\x02\0\0\x006Sih0Zs8sQnRv29R\x01\0";
        let peers = Peers::decode(bytes).unwrap();
        assert_eq!(
            (peers.cluster_size, peers.known.len(), peers.domain_extension),
            (3, 2, 1)
        );
        assert_eq!(Peers::decode(&bytes[..20]), None);
        assert_eq!(Peers::decode(b"\x03\0\0\0\xff\xff\xff\xff6Sih0Zs8"), None);
    }

    // STORE-73
    #[test]
    fn a_snapshot_of_a_group_is_taken_apart() {
        let bytes = b"\x02\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x0a\0\0\0\x03\0\0\0\0\0\0\0\0\0data12345678";
        let snapshot = GroupSnapshot::decode(bytes).unwrap();
        assert_eq!(
            (snapshot.term, snapshot.index, snapshot.data),
            (2, 8, &b"data"[..])
        );
        assert_eq!(
            (snapshot.peers.unwrap().cluster_size, &snapshot.checksum),
            (3, b"12345678")
        );
        assert_eq!(GroupSnapshot::decode(&bytes[..27]), None);
    }
}
