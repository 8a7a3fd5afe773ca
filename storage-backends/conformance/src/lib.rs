//! What every store must do, as tests that any backend runs.
//!
//! [`suite!`] makes one test per rule, so that a failure names the rule and the backend; then come long random histories
//! against a [plain model](model), and for durable backends the same with crashes. A backend brings a [`Harness`]: its
//! medium, and how to stop it in order or pull its plug. Rules: STORE-80 to STORE-126, as far as they are a store's and
//! not its owner's.
//!
//! ```
//! use dunlin_api::StoreBackend;
//! use dunlin_store_conformance::Harness;
//!
//! /// A backend without a medium: nothing survives, so there is nothing to open again.
//! struct Memory<B>(B);
//!
//! impl<B: StoreBackend> Harness for Memory<B> {
//!     fn backend(&self) -> &dyn StoreBackend {
//!         &self.0
//!     }
//! }
//!
//! // In the backend's tests: dunlin_store_conformance::suite!(memory, || Box::new(Memory(MemoryBackend::new())));
//! ```
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a broken rule is told by a panic"
)]

pub mod histories;
pub mod model;
pub mod rules;
mod stand;

use dunlin_api::StoreBackend;

pub use stand::{Heard, Stand};

/// A backend over its medium.
pub trait Harness {
    /// The backend as it runs now.
    fn backend(&self) -> &dyn StoreBackend;

    /// Stops the backend in order, and opens it again over the same medium. All streams are closed before.
    ///
    /// Durable backends must have it.
    fn reopen(&mut self) {
        panic!("a durable backend's harness reopens it");
    }

    /// Stops the backend as a power failure does: what is not durable may be lost. Opens it again over what is left.
    /// All streams are dropped before, which closes nothing.
    ///
    /// Durable backends must have it.
    fn crash(&mut self) {
        panic!("a durable backend's harness crashes it");
    }

    /// Does a piece of what the backend leaves to others, such as a turn of its journal. Where a thread does it there is
    /// nothing to do here.
    fn poll(&mut self) {}

    /// Drops from memory what can be read again, so that loads are cold.
    fn cool(&mut self) {}
}

/// Makes a backend over an empty medium.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Harness>;

/// Tests of a backend, in a module of this name: one per rule, then the histories. The second argument is called for
/// each of them and gives a `Box<dyn Harness>` over an empty medium.
#[macro_export]
macro_rules! suite {
    ($name:ident, $make:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the closure may need none")]
            use super::*;
            $crate::rules!($make;
                open: a_stream_is_open_once, a_stream_is_listed_and_deleted_for_good, a_deleted_stream_begins_anew,
                    streams_keep_apart;
                append: a_new_stream_holds_nothing, a_message_comes_back_as_it_was_staged,
                    a_message_counts_by_the_storage_type, a_sequence_that_does_not_follow_is_refused,
                    times_are_kept_as_given, skipped_sequences_hold_nothing, a_skip_ends_where_sequences_do,
                    the_observer_hears_every_change_of_use, each_change_has_a_later_ticket;
                read: a_load_finds_what_is_held_and_nothing_else, neighbours_are_found_over_any_gap,
                    deleted_sequences_are_shown_in_runs, a_step_over_a_huge_gap_costs_nothing, next_and_previous_find_what_any_filter_matches,
                    next_and_previous_end_at_the_edges, a_walk_back_over_holes_sees_all,
                    the_sequence_at_a_time_is_that_of_the_first_not_older,
                    the_state_of_a_filter_counts_from_a_sequence, a_subject_with_any_byte_is_found;
                subjects: each_subject_is_shown_once_with_its_messages, a_visit_of_subjects_can_stop,
                    subjects_are_counted, pending_messages_are_counted_from_a_sequence,
                    pending_subjects_are_those_whose_last_message_lies_ahead,
                    last_sequences_are_sorted_and_bounded, last_sequences_look_back_from_a_sequence,
                    removals_leave_right_figures_of_each_subject,
                    questions_about_many_subjects_are_answered_alike, rare_subjects_are_found_among_many_messages, a_stream_that_tracks_no_subjects_finds_by_sequence;
                remove: a_removed_message_is_gone, the_first_moves_on_over_holes, the_last_stays_when_it_is_removed,
                    an_emptied_stream_goes_on_counting, an_erased_message_is_gone_as_well;
                purge: a_purge_of_everything_keeps_the_numbering, a_purge_takes_what_matches,
                    a_purge_before_a_sequence_stops_there, a_purge_keeps_the_newest,
                    a_keeping_purge_counts_no_holes, a_compact_removes_what_lies_before,
                    a_compact_beyond_the_end_moves_it, a_compact_of_a_removed_range_finds_the_next,
                    a_purged_stream_forgets_its_holes, warm_steps_reach_the_end;
                truncate: a_truncated_stream_ends_at_its_new_last, a_stream_truncated_to_nothing_is_as_new,
                    a_truncate_beyond_the_end_does_nothing, a_truncate_to_a_removed_sequence_keeps_it_as_last,
                    a_truncated_stream_forgets_its_holes;
                timers: timers_come_due_in_order, a_timer_is_moved_and_cleared, a_timer_goes_with_its_message,
                    timers_of_two_kinds_keep_apart, a_timer_far_away_is_found;
                keep: metadata_is_replaced_as_a_whole, source_positions_are_kept_or_owned_up_to;
                consumers: a_consumer_has_one_store, a_consumer_keeps_its_changes, a_consumer_is_replaced_as_a_whole,
                    consumers_keep_apart;
                snapshots: a_snapshot_restores_the_same_stream, a_snapshot_comes_in_parts,
                    a_snapshot_leaves_out_what_is_removed_meanwhile, a_part_out_of_order_is_refused;
                cold: a_job_needs_no_store;
                durable: a_closed_stream_comes_back_whole, a_committed_change_survives_a_crash,
                    a_dropped_stream_comes_back_up_to_its_mark, an_emptied_stream_comes_back_empty_and_counting,
                    a_deleted_stream_stays_deleted, a_truncated_stream_comes_back_truncated,
                    timers_come_back, consumers_come_back, a_deleted_consumer_stays_deleted;
            );

            #[test]
            fn random_histories_agree_with_a_plain_model() {
                $crate::histories::streams(&$make);
            }

            #[test]
            fn a_long_history_agrees_with_a_plain_model() {
                $crate::histories::long(&$make);
            }

            #[test]
            fn random_histories_survive_crashes() {
                $crate::histories::crashes(&$make);
            }

            #[test]
            fn consumers_survive_crashes() {
                $crate::histories::consumers(&$make);
            }
        }
    };
}

/// One test per rule; for [`suite!`].
#[doc(hidden)]
#[macro_export]
macro_rules! rules {
    ($make:expr; $($about:ident: $($rule:ident),+;)+) => {
        $(mod $about {
            #[allow(unused_imports, reason = "the closure may need none")]
            use super::*;
            $(#[test]
            fn $rule() {
                $crate::rules::$about::$rule(&$make);
            })+
        })+
    };
}

#[cfg(test)]
mod tests;
