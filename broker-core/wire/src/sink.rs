//! Where writers put their bytes.

/// An append-only run of bytes: a `Vec`, or a connection's queue of chunks.
pub trait Sink {
    /// Appends `bytes`, whole.
    fn put(&mut self, bytes: &[u8]);

    /// Tells that `bytes` more bytes follow in small pieces. A hint: writers call it once per frame.
    fn reserve(&mut self, bytes: usize) {
        let _ = bytes;
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn reserve(&mut self, bytes: usize) {
        Vec::reserve(self, bytes);
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        (**self).put(bytes);
    }

    #[inline]
    fn reserve(&mut self, bytes: usize) {
        (**self).reserve(bytes);
    }
}
