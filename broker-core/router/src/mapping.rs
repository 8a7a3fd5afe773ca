//! Subject mappings on the way of a publish: what a cached route keeps of them.
//!
//! A mapping that always gives the same subject is applied when a route is looked up, and costs nothing after that.
//! Only one that draws is asked for each message (CORE-111, AUTH-803).

use std::sync::Arc;

use dunlin_api::{Rng, Subject, SubjectBuf};
use dunlin_subject::{Choices, Mapped, Mappings};

use crate::cache::RouteCache;

/// What the account's mappings make of a published subject.
#[derive(Default)]
pub(crate) enum Destination {
    /// It goes where it was published to.
    #[default]
    Itself,
    /// It always goes here.
    Other(SubjectBuf),
    /// It goes nowhere.
    Nowhere,
    /// Each message may go elsewhere.
    Drawn(Arc<Choices>),
}

impl Destination {
    /// Asks the mappings about `subject`.
    pub(crate) fn of(subject: Subject<'_>, mappings: &Mappings) -> Self {
        match mappings.map(subject) {
            Mapped::Unchanged => Self::Itself,
            // A transform that draws is never always the same.
            Mapped::Always(transform) => match transform.apply(subject, &mut |_| 0) {
                Some(other) => Self::Other(other),
                None => Self::Nowhere,
            },
            Mapped::Dropped => Self::Nowhere,
            Mapped::Drawn(choices) => Self::Drawn(choices.clone()),
        }
    }
}

/// What a session keeps to draw destinations with.
pub(crate) struct Drawer {
    /// Routes of drawn subjects, which are not mapped again.
    pub(crate) cache: RouteCache,
    drawn: Vec<u8>,
}

impl Drawer {
    pub(crate) fn new() -> Self {
        Self {
            cache: RouteCache::after_mapping(),
            drawn: Vec::new(),
        }
    }

    /// Draws where a message on `subject` goes, with the cache of such routes; `None`: it is dropped. Allocates
    /// nothing in steady state.
    pub(crate) fn draw(
        &mut self,
        subject: Subject<'_>,
        choices: &Choices,
        rng: &mut Rng,
    ) -> Option<(Subject<'_>, &mut RouteCache)> {
        let transform = choices.draw(&mut |bound| rng.below(bound))?;
        self.drawn.clear();
        transform.apply_to(subject, &mut |bound| rng.below(bound), &mut self.drawn);
        let subject = Subject::from_wire(&self.drawn).ok()?;
        Some((subject, &mut self.cache))
    }
}
