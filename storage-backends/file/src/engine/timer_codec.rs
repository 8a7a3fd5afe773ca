//! Timers and their files (STORE-59, STORE-60).

use std::io;
use std::path::Path;

use dunlin_api::{Disk, TimerKind};

use super::timers::{State, Timer, Timers};
use crate::schedule::{Schedule, ScheduleFile};
use crate::wheel::WheelFile;

/// The bytes of `thw.db` and of `sched.db`.
pub(super) fn encode(state: &State) -> (Vec<u8>, Vec<u8>) {
    let expiries = state.timers.of(TimerKind::Expiry);
    let wheel = WheelFile {
        stamp: state.stamp,
        expiries: expiries.map(|(sequence, timer)| (timer.at, sequence)).collect(),
    };
    let schedules = state
        .timers
        .of(TimerKind::Schedule)
        .map(|(sequence, timer)| Schedule {
            subject: timer.subject.to_vec(),
            at: timer.at,
            sequence,
        });
    let schedules = ScheduleFile {
        stamp: state.stamp,
        schedules: schedules.collect(),
    };
    (wheel.encode(), schedules.encode())
}

/// What the files in a directory say, and up to which sequence; `None` where there are none. A damaged file says nothing.
pub(super) fn read(disk: &dyn Disk, messages: &Path) -> io::Result<(Timers, Option<u64>)> {
    let mut timers = Timers::default();
    let wheel = read_file(disk, &messages.join("thw.db"))?;
    let mut is_there = !wheel.is_empty();
    let wheel = WheelFile::decode(&wheel).unwrap_or_default();
    for (at, sequence) in wheel.expiries {
        let timer = Timer {
            at,
            subject: Box::default(),
        };
        timers.set(TimerKind::Expiry, sequence, Some(timer));
    }
    let schedules = read_file(disk, &messages.join("sched.db"))?;
    is_there |= !schedules.is_empty();
    let schedules = ScheduleFile::decode(&schedules).unwrap_or_default();
    for schedule in schedules.schedules {
        let timer = Timer {
            at: schedule.at,
            subject: schedule.subject.into(),
        };
        timers.set(TimerKind::Schedule, schedule.sequence, Some(timer));
    }
    Ok((timers, is_there.then_some(wheel.stamp.min(schedules.stamp))))
}

/// A file's content; nothing where there is none.
pub(super) fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    match disk.read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}
