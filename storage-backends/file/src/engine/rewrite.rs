//! A block's file that another takes the place of, with the same records at the same offsets.

use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Disk, DiskFile, OpenMode};

use crate::compress;

/// A compressed file's block in clear, with a record in the place of one that is as long.
pub(super) fn with_record(file: &[u8], record: &[u8], offset: u64) -> io::Result<Vec<u8>> {
    patched(
        compress::unpack(file).map_err(io::Error::other)?.block,
        record,
        offset,
    )
}

/// A block with a record in the place of one that is as long.
pub(super) fn patched(mut block: Vec<u8>, record: &[u8], offset: u64) -> io::Result<Vec<u8>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    let place = block
        .get_mut(start..)
        .and_then(|rest| rest.get_mut(..record.len()));
    let place = place.ok_or_else(|| io::Error::other("the block ends before the record"))?;
    place.copy_from_slice(record);
    Ok(block)
}

/// Writes and syncs what is to take the place of a block's file, under the name that nats-server uses for it (STORE-31).
pub(super) fn write_aside(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let aside = path.with_extension("blk.tmp");
    let file = disk.open_with_permissions(&aside, OpenMode::ReadWrite, 0o600)?;
    file.set_len(0)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    Ok(aside)
}

/// Overwrites a file that has lost its name.
pub(super) fn wipe(file: &dyn DiskFile) -> io::Result<()> {
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    file.write_at(&vec![0; length], 0)?;
    file.sync()
}
