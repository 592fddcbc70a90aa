//! One list of promises, kept by every engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod catalogue;
mod damage;
mod documents;
mod embedded;
mod full;
mod history;
mod model;
mod questions;
mod samples;
mod upkeep;
mod writes;

use samples::{Engine, Home};

/// Expands every promise for every engine, so that no engine can skip one.
macro_rules! promises {
    ($($room:ident { $($promise:ident),+ $(,)? })+) => {
        promises!(@engine memory Engine::Memory; $($room { $($promise)+ })+);
        promises!(@engine redb Engine::Redb; $($room { $($promise)+ })+);
        promises!(@engine sled Engine::Sled; $($room { $($promise)+ })+);
    };
    (@engine $name:ident $engine:expr; $($room:ident { $($promise:ident)+ })+) => {
        mod $name {
            use super::*;
            $($(
                #[tokio::test]
                async fn $promise() {
                    $room::$promise(Home::new($engine)).await;
                }
            )+)+
        }
    };
}

promises! {
    writes {
        a_batch_is_visible_wholly_when_it_is_answered,
        a_lost_version_leaves_nothing_behind,
        of_two_who_build_on_the_same_version_one_loses,
        a_claim_holds_for_its_value_and_against_others,
        a_released_name_can_be_claimed_in_the_same_batch,
        a_failed_commit_leaves_its_neighbours_alone,
        instants_never_go_back,
        messages_wait_in_order_until_they_are_delivered,
        the_change_feed_gives_current_rows_in_the_order_of_their_last_write,
        the_change_feed_never_cuts_a_commit,
        audit_records_of_commits_and_reads_come_back_in_order,
        a_closed_store_answers_nothing,
    }
    history {
        every_version_can_be_read_for_ever,
        a_deleted_record_is_found_no_more_but_read_with_its_mark,
        a_question_as_of_then_is_answered_as_then,
        pages_are_stable_while_others_write,
        a_record_that_moved_is_found_where_it_was,
    }
    questions {
        terms_match_with_and_without_name_space,
        stretches_of_time_compare,
        texts_match_by_beginning_part_and_whole,
        conditions_can_be_turned_round,
        edges_are_followed_both_ways,
        ids_and_presence_are_tested,
        records_are_found_everywhere_by_facts_of_global_reach,
        facts_of_mixed_reach_are_all_found_everywhere,
        the_natural_order_is_largest_first_then_id,
        other_orders_put_missing_values_last,
        pages_follow_each_other_without_gap_or_repetition,
        the_total_counts_all_matches_on_every_page,
        several_partitions_are_merged_in_order,
        a_foreign_cursor_is_refused,
        what_is_asked_again_and_again_is_answered_from_what_stands,
        what_changed_is_found_by_its_new_facts_only,
        names_with_odd_characters_do_not_mix,
        partitions_are_told_in_order_without_what_has_left,
    }
    catalogue {
        what_is_counted_is_what_every_record_says,
        a_total_is_told_without_reading_what_is_counted,
        many_alike_are_paged_in_order,
    }
    documents {
        a_document_is_read_as_it_was_given,
        a_document_is_not_there_before_its_commit,
        many_documents_at_once_do_not_all_wait_in_memory,
        any_range_of_a_document_is_exact,
        a_document_over_the_limit_is_refused,
        a_document_in_the_trash_is_not_there,
        what_is_let_go_soon_lies_apart_and_is_deleted_at_once,
        the_health_counts_documents,
    }
}
