//! Faults that a test injects: a named place in the code where the calling thread panics once.
//!
//! Without the feature `fault` every call is empty and costs nothing. The tests of session isolation arm the places
//! `append`, `flush`, `index` and `deliver`.

#[cfg(feature = "fault")]
thread_local! {
    static ARMED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Makes the next [`point`] of this name on this thread panic.
#[cfg(feature = "fault")]
pub fn arm(name: &'static str) {
    ARMED.set(Some(name));
}

/// Whether an armed fault has not struck yet.
#[cfg(feature = "fault")]
pub fn is_armed() -> bool {
    ARMED.get().is_some()
}

/// A place where a test may want a panic.
#[inline(always)]
pub fn point(name: &'static str) {
    #[cfg(feature = "fault")]
    if ARMED.get() == Some(name) {
        ARMED.set(None);
        strike(name);
    }
    let _ = name;
}

#[cfg(feature = "fault")]
#[expect(clippy::panic, reason = "panicking is what this is for")]
fn strike(name: &str) -> ! {
    panic!("injected at {name}")
}
