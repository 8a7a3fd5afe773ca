//! Faults that a test injects: a named place in the code where the calling thread does something else once, such as panic.
//!
//! Without the feature `fault` every call is empty and costs nothing. The tests of session isolation arm the places
//! `append`, `flush`, `index` and `deliver`; `subscribe` and `subscribed` are where a reload may come between.

#[cfg(feature = "fault")]
type Armed = Option<(&'static str, Box<dyn FnOnce()>)>;

#[cfg(feature = "fault")]
thread_local! {
    static ARMED: std::cell::RefCell<Armed> = const { std::cell::RefCell::new(None) };
}

/// Makes the next [`point`] of this name on this thread panic.
#[cfg(feature = "fault")]
pub fn arm(name: &'static str) {
    arm_with(name, move || strike(name));
}

/// Makes the next [`point`] of this name on this thread do `work`, which may arm the next.
#[cfg(feature = "fault")]
pub fn arm_with(name: &'static str, work: impl FnOnce() + 'static) {
    ARMED.set(Some((name, Box::new(work))));
}

/// Whether an armed fault has not struck yet.
#[cfg(feature = "fault")]
pub fn is_armed() -> bool {
    ARMED.with_borrow(Option::is_some)
}

/// A place where a test may want something to happen.
#[inline(always)]
pub fn point(name: &'static str) {
    #[cfg(feature = "fault")]
    if let Some((_, work)) = ARMED.with_borrow_mut(|armed| armed.take_if(|(place, _)| *place == name)) {
        work();
    }
    let _ = name;
}

#[cfg(feature = "fault")]
#[expect(clippy::panic, reason = "panicking is what this is for")]
fn strike(name: &str) -> ! {
    panic!("injected at {name}")
}
