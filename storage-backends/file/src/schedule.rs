//! `sched.db`: when the scheduled messages of a stream are due, one a subject. (STORE-60)

use crate::cursor::{Cursor, put_uvarint, put_varint};
use crate::stamped::{self, StampedError};

/// What `sched.db` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleFile {
    /// Messages below this sequence are all accounted for; later ones must be looked at (STORE-62).
    pub stamp: u64,
    /// In any order.
    pub schedules: Vec<Schedule>,
}

/// A scheduled message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The subject that it was stored under.
    pub subject: Vec<u8>,
    /// When it is due next, in nanoseconds since the Unix epoch.
    pub at: i64,
    /// Its sequence.
    pub sequence: u64,
}

const VERSION_UNKNOWN: &str = "msg scheduling: encoded version not known";

/// Length of the subject, time, sequence.
const SHORTEST_ENTRY: u64 = 4;

impl ScheduleFile {
    /// Reads the file. Takes at most 12 times the memory that the bytes take.
    ///
    /// # Errors
    /// See [`StampedError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StampedError> {
        let (header, mut cursor) = stamped::open(bytes, VERSION_UNKNOWN)?;
        let mut schedules = header.room_for(SHORTEST_ENTRY, &cursor);
        for _ in 0..header.count {
            schedules.push(schedule(&mut cursor).ok_or(StampedError::UnexpectedEnd)?);
        }
        Ok(Self {
            stamp: header.stamp,
            schedules,
        })
    }

    /// The file's bytes. A subject of more than 65,535 bytes does not fit and is left out: it would be found again
    /// under another name, whereas its message is found by looking at it.
    pub fn encode(&self) -> Vec<u8> {
        let fitting = || {
            let schedules = self.schedules.iter();
            schedules.filter_map(|schedule| Some((u16::try_from(schedule.subject.len()).ok()?, schedule)))
        };
        let mut out = stamped::begin(fitting().count(), self.stamp);
        for (length, schedule) in fitting() {
            out.extend(length.to_le_bytes());
            out.extend_from_slice(&schedule.subject);
            put_varint(&mut out, schedule.at);
            put_uvarint(&mut out, schedule.sequence);
        }
        out
    }
}

fn schedule(cursor: &mut Cursor<'_>) -> Option<Schedule> {
    let length = cursor.u16()?;
    Some(Schedule {
        subject: cursor.take(length.into())?.to_vec(),
        at: cursor.varint()?,
        sequence: cursor.uvarint()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> (ScheduleFile, &'static [u8]) {
        let schedule = Schedule {
            subject: b"foo".to_vec(),
            at: 1_700_000_005_000_000_000,
            sequence: 7,
        };
        let bytes =
            b"\x01\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x03\0foo\x80\xc8\xff\x82\xec\xbf\xce\x97\x2f\x07";
        let file = ScheduleFile {
            stamp: 8,
            schedules: vec![schedule],
        };
        (file, bytes)
    }

    // STORE-60: the sheet's example.
    #[test]
    fn the_example_of_the_sheet_is_written_and_read() {
        let (file, bytes) = example();
        assert_eq!(file.encode(), bytes);
        assert_eq!(ScheduleFile::decode(bytes), Ok(file));
    }

    // STORE-60 [TestFileStoreMessageScheduleEncodeDecode]
    #[test]
    fn a_hundred_thousand_schedules_come_back() {
        let schedule = |sequence: u64| Schedule {
            subject: format!("foo.{sequence}").into_bytes(),
            at: 1_700_000_000_000_000_000 + sequence as i64 * 1_000_000_000,
            sequence,
        };
        let file = ScheduleFile {
            stamp: 12345,
            schedules: (0..100_000).map(schedule).collect(),
        };
        assert_eq!(ScheduleFile::decode(&file.encode()), Ok(file));
    }

    // STORE-60 [TestFileStoreMessageScheduleDecodeRejectsMalformed]
    #[test]
    fn malformed_schedules_are_refused_in_the_words_of_the_reference() {
        let (_, bytes) = example();
        for cut in 0..bytes.len() {
            let said = ScheduleFile::decode(&bytes[..cut]).unwrap_err().to_string();
            let expected = if cut < 17 {
                "short buffer"
            } else {
                "unexpected EOF"
            };
            assert_eq!(said, expected, "cut at {cut}");
        }
        let mut other = bytes.to_vec();
        other[0] = 2;
        let said = ScheduleFile::decode(&other).unwrap_err().to_string();
        assert_eq!(said, "msg scheduling: encoded version not known");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(stamp: u64, schedules: Vec<(Vec<u8>, i64, u64)>) {
            let schedules = schedules
                .into_iter()
                .map(|(subject, at, sequence)| Schedule { subject, at, sequence })
                .collect();
            let file = ScheduleFile { stamp, schedules };
            prop_assert_eq!(ScheduleFile::decode(&file.encode()), Ok(file));
        }
    }
}
