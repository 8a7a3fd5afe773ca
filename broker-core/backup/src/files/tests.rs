use proptest::prelude::*;

use super::*;
use crate::s2::compress;

const MOST: u64 = 10_000;

fn read(backup: &[u8], step: usize) -> Result<Vec<(BackupFile, Vec<u8>)>, FilesError> {
    let mut reader = FilesReader::default();
    let mut files = Vec::new();
    for piece in backup.chunks(step.max(1)) {
        reader.feed(piece);
        while let Some(file) = reader.next_file(MOST)? {
            files.push(file);
        }
    }
    reader.finish()?;
    Ok(files)
}

/// A tar of one file under a name that the writer would not give.
fn named(name: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    write_file(&mut tar, name, 0, b"body").unwrap();
    write_end(&mut tar).unwrap();
    tar
}

fn changed(tar: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    tar[at..at + bytes.len()].copy_from_slice(bytes);
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

// STORE-78
#[test]
fn every_file_of_a_backup_comes_back_however_it_is_cut() {
    let long = "c".repeat(200);
    let files = [
        (BackupFile::Meta, b"{}".to_vec()),
        (BackupFile::MetaSum, b"0123456789abcdef".to_vec()),
        (BackupFile::Block(1), vec![7; 1_000]),
        (BackupFile::Block(12), Vec::new()),
        (BackupFile::Index, vec![8; 512]),
        (BackupFile::ConsumerMeta("c1".to_owned()), b"{}".to_vec()),
        (BackupFile::ConsumerMetaSum(long.clone()), b"0".to_vec()),
        (BackupFile::ConsumerState(long), vec![9; 513]),
    ];
    let mut writer = FilesWriter::begin(Vec::new(), 1_700_000_000);
    for (file, body) in &files {
        writer.file(file, body).unwrap();
    }
    let backup = writer.finish().unwrap();
    for step in [1, 99, backup.len()] {
        assert_eq!(read(&backup, step).unwrap(), files);
    }
}

// 2022-26652 [TestJetStreamRestoreBadStream]: an entry that leaves its folder; and all that a backup never holds.
#[test]
fn a_name_that_is_not_on_the_list_ends_the_restore() {
    for name in [
        "../meta.inf",
        "/meta.inf",
        "msgs/../../meta.inf",
        "msgs/1.blk/../../x",
        "msgs//1.blk",
        "./meta.inf",
        "msgs/01.blk",
        "msgs/-1.blk",
        "msgs/4294967296.blk",
        "msgs/1.key",
        "meta.key",
        "msgs\\1.blk",
        "obs/../meta.inf",
        "obs/./o.dat",
        "obs//o.dat",
        "obs/a/b/o.dat",
        "obs/a.b/o.dat",
        "obs/a/x",
        "obs/a",
        "",
        "sources.db",
    ] {
        let refused = read(&compress(&named(name)), 1_000);
        assert_eq!(refused, Err(FilesError::Unexpected(name.to_owned())), "{name}");
    }
    let hidden = changed(&named("meta.inf"), 345, b"../../etc");
    let refused = read(&compress(&hidden), 1_000);
    assert_eq!(
        refused,
        Err(FilesError::Unexpected("../../etc/meta.inf".to_owned()))
    );
}

// 2022-26652, STORE-78
#[test]
fn what_is_no_regular_file_ends_the_restore() {
    for kind in *b"123456789LKDSVZ" {
        let tar = changed(&named("meta.inf"), 156, &[kind]);
        let refused = read(&compress(&tar), 1_000).unwrap_err().to_string();
        assert_eq!(refused, "meta.inf is no regular file", "{}", char::from(kind));
    }
    // The type of servers before POSIX.
    assert!(read(&compress(&changed(&named("meta.inf"), 156, &[0])), 1_000).is_ok());
}

/// An extended header before a file `meta.inf` with four bytes.
fn extended(records: &str) -> Vec<u8> {
    let mut extension = Vec::new();
    write_file(&mut extension, "PaxHeaders.0/meta.inf", 0, records.as_bytes()).unwrap();
    [changed(&extension, 156, b"x"), named("meta.inf")].concat()
}

// STORE-78: the reference writes an extended header before each file, with its time. (RUSTSEC-2026-0067, 0068)
#[test]
fn an_extended_header_gives_the_next_file_its_name_and_size() {
    let files = read(&compress(&extended("26 mtime=1700000000.12345\n")), 1_000).unwrap();
    assert_eq!(files, [(BackupFile::Meta, b"body".to_vec())]);
    let files = read(&compress(&extended("18 path=meta.sum\n\n")), 1_000);
    assert!(files.is_err(), "a record ends where its length says");
    let files = read(&compress(&extended("17 path=meta.sum\n")), 1_000).unwrap();
    assert_eq!(files, [(BackupFile::MetaSum, b"body".to_vec())]);
    let files = read(&compress(&extended("10 size=2\n")), 1_000).unwrap();
    assert_eq!(files, [(BackupFile::Meta, b"bo".to_vec())]);
    let refused = read(&compress(&extended("11 path=..\n")), 1_000);
    assert_eq!(refused, Err(FilesError::Unexpected("..".to_owned())));
    for malformed in [
        "x",
        "99 path=a\n",
        "8 path=a\n",
        "3 a",
        "0 \n",
        "18446744073709551615 a=b\n",
        "10 size=-\n",
    ] {
        let refused = read(&compress(&extended(malformed)), 1_000);
        assert_eq!(refused, Err(FilesError::Tar(TarError::Header)), "{malformed:?}");
    }
    let sparse = read(&compress(&extended("22 GNU.sparse.major=1\n")), 1_000);
    assert!(
        matches!(sparse, Err(FilesError::Tar(TarError::NotAFile(_)))),
        "{sparse:?}"
    );
}

// STORE-181
#[test]
fn a_size_allocates_nothing_before_the_bytes_come() {
    let (size, most) = (MOST + 1, MOST);
    let large = changed(&named("msgs/1.blk"), 124, format!("{size:011o}\0").as_bytes());
    let name = "msgs/1.blk".to_owned();
    let refused = read(&compress(&large), 1_000);
    assert_eq!(
        refused,
        Err(FilesError::Tar(TarError::TooLarge { name, size, most }))
    );
    let huge = read(
        &compress(&extended("28 size=18446744073709551615\n")[..1_536]),
        1_000,
    );
    assert!(huge.is_err());
}

// STORE-78
#[test]
fn a_backup_that_is_not_whole_is_refused() {
    let mut writer = FilesWriter::begin(Vec::new(), 0);
    writer.file(&BackupFile::Block(1), &[1; 600]).unwrap();
    let whole = writer.finish().unwrap();
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut], 64).is_err(), "cut at {cut}");
    }
    let without_end = &named("meta.inf")[..1_024];
    assert_eq!(read(&compress(without_end), 64), Err(FilesError::Truncated));
    let failed = read(&compress(&named("errors.txt")), 64).unwrap_err().to_string();
    assert_eq!(failed, "the backup is not whole: body");
    let mut flipped = named("meta.inf");
    flipped[3] ^= 1;
    assert_eq!(
        read(&compress(&flipped), 64),
        Err(FilesError::Tar(TarError::Header))
    );
}

proptest! {
    // STORE-181
    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>, records: Vec<u8>) {
        let _ = read(&bytes, 10);
        let _ = read(&compress(&bytes), 10);
        let _ = read(&compress(&extended(&String::from_utf8_lossy(&records))), 100);
    }
}
