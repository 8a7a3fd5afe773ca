//! What the tests of this crate do with streams.

use std::io::{self, IoSlice};

use dunlin_api::{Socket, readable, writable};

/// Writes everything, waiting where the stream pushes back.
pub(crate) async fn write_all(stream: &dyn Socket, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.try_write_vectored(&[IoSlice::new(bytes)]) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(stream).await.unwrap(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads exactly `wanted` bytes.
pub(crate) async fn read_all(stream: &dyn Socket, wanted: usize) -> Vec<u8> {
    let mut bytes = vec![0; wanted];
    let mut count = 0;
    while count < wanted {
        match read(stream, &mut bytes[count..]).await {
            Ok(0) => panic!("ended after {count}"),
            Ok(more) => count += more,
            Err(error) => panic!("{error} after {count}"),
        }
    }
    bytes
}

/// Waits for the next bytes, the end (0), or the failure.
pub(crate) async fn read(stream: &dyn Socket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        readable(stream).await?;
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

/// Waits for the end or the failure; nothing may come before it.
pub(crate) async fn end_of(stream: &dyn Socket) -> Result<(), io::ErrorKind> {
    match read(stream, &mut [0; 8]).await {
        Ok(0) => Ok(()),
        Ok(count) => panic!("{count} bytes before the end"),
        Err(error) => Err(error.kind()),
    }
}

/// Bytes whose order shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0_u8..251).cycle().take(len).collect()
}
