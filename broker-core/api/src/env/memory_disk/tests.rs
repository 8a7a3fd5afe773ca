use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use super::*;

fn open(disk: &MemoryDisk, path: &str) -> Box<dyn DiskFile> {
    disk.open(Path::new(path), OpenMode::ReadWrite).unwrap()
}

fn read(disk: &MemoryDisk, path: &str) -> Option<Vec<u8>> {
    disk.read(Path::new(path)).ok()
}

/// A file that is there for good, with `bytes` in it.
fn durable(disk: &MemoryDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = open(disk, path);
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new(path).parent().unwrap()).unwrap();
    file
}

#[test]
fn a_crash_keeps_what_was_synced_and_nothing_else() {
    let disk = MemoryDisk::default();
    let file = durable(&disk, "a", b"kept");
    file.write_at(b"lost", 4).unwrap();
    disk.crash();
    assert_eq!(read(&disk, "a").unwrap(), b"kept");
    assert!(
        file.write_at(b"x", 0).is_err(),
        "the process that opened it is gone"
    );
    assert_eq!(disk.used(), 4);
}

#[test]
fn a_name_is_lost_unless_its_directory_was_synced() {
    let disk = MemoryDisk::default();
    durable(&disk, "/d/old", b"1");
    let new = open(&disk, "/d/new");
    new.write_at(b"2", 0).unwrap();
    new.sync().unwrap();
    disk.remove(Path::new("/d/old")).unwrap();
    disk.crash();
    assert_eq!(disk.list(Path::new("/d")).unwrap(), [Path::new("/d/old")]);
    assert_eq!(read(&disk, "/d/old").unwrap(), b"1");

    disk.create_dir(Path::new("/d/below")).unwrap();
    durable(&disk, "/d/below/a", b"3");
    disk.crash();
    assert!(
        disk.list(Path::new("/d/below")).is_err(),
        "the directory's own name was not synced"
    );
}

#[test]
fn a_replaced_file_is_old_or_new_whatever_the_crash() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let disk = MemoryDisk::default();
        durable(&disk, "/d/meta", b"old");
        let calls = AtomicUsize::new(seed % 7);
        disk.on_call(move |call| match call.operation.changes() {
            true if calls.fetch_sub(1, Relaxed) == 0 => DiskEffect::Fail(io::ErrorKind::Other),
            _ => DiskEffect::Proceed,
        });
        let result = disk.replace(Path::new("/d/meta"), b"newer");
        disk.heal();
        disk.crash_torn(&mut Rng::seeded(seed as u64));
        let content = read(&disk, "/d/meta").unwrap();
        if result.is_ok() {
            assert_eq!(content, b"newer");
        }
        seen.insert(content);
    }
    assert_eq!(seen, BTreeSet::from([b"newer".to_vec(), b"old".to_vec()]));
}

#[test]
fn unsynced_writes_come_through_in_sectors_and_in_any_order() {
    let (mut only_second, mut only_first, mut torn) = (false, false, false);
    for seed in 0..300 {
        let disk = MemoryDisk::default();
        let file = durable(&disk, "a", &[0; 4096]);
        file.write_at(&[1; 1024], 0).unwrap();
        file.write_at(&[2; 1024], 2048).unwrap();
        disk.crash_torn(&mut Rng::seeded(seed));
        let bytes = read(&disk, "a").unwrap();
        assert_eq!(bytes.len(), 4096);
        for sector in bytes.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
        }
        let firsts: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
        only_second |= firsts == [0, 0, 0, 0, 2, 2, 0, 0];
        only_first |= firsts == [1, 1, 0, 0, 0, 0, 0, 0];
        torn |= firsts == [0, 1, 0, 0, 2, 0, 0, 0];
    }
    assert!(only_second && only_first && torn);
}

#[test]
fn after_a_failed_sync_the_pages_look_clean_and_are_gone() {
    let disk = MemoryDisk::default();
    let file = durable(&disk, "a", b"old");
    file.write_at(b"new", 0).unwrap();
    disk.on_call(|call| match call.operation {
        DiskOperation::Sync => DiskEffect::Fail(io::ErrorKind::Other),
        _ => DiskEffect::Proceed,
    });
    assert!(file.sync().is_err());
    disk.heal();
    file.sync().unwrap();
    assert_eq!(read(&disk, "a").unwrap(), b"new", "still in memory");
    disk.drop_caches();
    assert_eq!(read(&disk, "a").unwrap(), b"old");
}

#[test]
fn what_a_failed_sync_should_have_written_may_be_there_after_a_crash() {
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        let disk = MemoryDisk::default();
        let file = durable(&disk, "a", b"old");
        file.write_at(b"new", 0).unwrap();
        disk.on_call(|call| match call.operation {
            DiskOperation::Sync => DiskEffect::Fail(io::ErrorKind::Other),
            _ => DiskEffect::Proceed,
        });
        assert!(file.sync().is_err());
        disk.heal();
        disk.crash_torn(&mut Rng::seeded(seed));
        seen.insert(read(&disk, "a").unwrap());
    }
    assert_eq!(seen, BTreeSet::from([b"new".to_vec(), b"old".to_vec()]));
}

#[test]
fn a_full_disk_takes_what_fits_and_overwrites() {
    let disk = MemoryDisk::default();
    let file = durable(&disk, "a", b"12345");
    disk.set_capacity(Some(8));
    let error = file.write_at(b"abcdef", 4).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(read(&disk, "a").unwrap(), b"1234abcd");
    file.write_at(b"xyz", 0).unwrap();
    disk.remove(Path::new("a")).unwrap();
    drop(file);
    disk.sync_dir(Path::new("")).unwrap();
    assert_eq!(disk.used(), 0);
}

#[test]
fn reads_come_short_and_bits_flip() {
    let disk = MemoryDisk::with_files([("/d/a", "abc")]);
    disk.flip(Path::new("/d/a"), 8 + 1).unwrap();
    assert!(disk.flip(Path::new("/d/a"), 24).is_err());
    disk.on_call(|call| match call.operation {
        DiskOperation::Read => DiskEffect::Part(1),
        _ => DiskEffect::Proceed,
    });
    assert_eq!(read(&disk, "/d/a").unwrap(), b"a`c", "whoever reads goes on");
    let mut buffer = [0; 3];
    assert_eq!(open(&disk, "/d/a").read_at(&mut buffer, 0).unwrap(), 1);
}

#[test]
fn a_directory_moves_with_all_that_is_in_it() {
    let disk = MemoryDisk::with_files([("/s/A/1", "one"), ("/s/A/2", "two")]);
    disk.rename(Path::new("/s/A"), Path::new("/s/B")).unwrap();
    assert_eq!(read(&disk, "/s/B/2").unwrap(), b"two");
    disk.sync_dir(Path::new("/s")).unwrap();
    disk.crash();
    assert_eq!(disk.list(Path::new("/s")).unwrap(), [Path::new("/s/B")]);
    disk.remove_dir(Path::new("/s/B")).unwrap();
    assert_eq!(
        disk.list(Path::new("/s/B")).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn a_locked_file_is_refused_until_its_holder_closes_it_or_dies() {
    let disk = MemoryDisk::default();
    let first = durable(&disk, "a", b"");
    let second = open(&disk, "a");
    first.lock().unwrap();
    assert_eq!(second.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(first);
    second.lock().unwrap();
    disk.crash();
    let third = open(&disk, "a");
    third.lock().unwrap();
    drop(second);
    assert!(
        open(&disk, "a").lock().is_err(),
        "the dead one's handle frees nothing"
    );
}
