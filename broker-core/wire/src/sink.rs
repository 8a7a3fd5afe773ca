//! Where writers put their bytes.

/// An append-only run of bytes: a `Vec`, or a connection's queue of chunks.
pub trait Sink {
    /// Appends `bytes`, whole.
    fn put(&mut self, bytes: &[u8]);

    /// Appends `pieces` one after the other. A sink that looks for room does it once here.
    #[inline]
    fn put_all(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.put(piece);
        }
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_all(&mut self, pieces: &[&[u8]]) {
        self.reserve(pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            self.extend_from_slice(piece);
        }
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        (**self).put(bytes);
    }

    #[inline]
    fn put_all(&mut self, pieces: &[&[u8]]) {
        (**self).put_all(pieces);
    }
}
