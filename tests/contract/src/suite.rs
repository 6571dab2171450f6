//! The list of all cases, and its expansion to tests.

/// One `#[tokio::test]` for each case of the contract, in a module for each port.
#[macro_export]
macro_rules! suite {
    ($backend:ty) => {
        $crate::__cases!([$crate::__tests] $backend);
    };
}

/// Every case, by port; handed to the macro that is named.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ([$($then:tt)*] $argument:ty) => {
        $($then)*! { $argument;
            storage {
                it_has_a_name_and_answers_a_ping
                migrating_again_changes_nothing
                instances_migrate_at_the_same_time
                what_was_acknowledged_outlives_the_instance
                closing_one_instance_leaves_the_other
            }
            user {
                every_field_survives_the_round_trip
                every_status_and_visibility_is_kept
                who_is_not_there_is_none
                a_taken_username_is_named_whatever_its_case
                a_taken_email_is_named_whatever_its_case
                of_two_taken_keys_one_is_named
                of_many_who_want_one_username_one_gets_it
                of_many_who_want_one_email_one_gets_it
                get_many_answers_each_that_exists_once
                login_finds_by_either_key
                an_update_changes_what_it_names_and_no_more
                an_update_of_nobody_is_none
                an_update_to_a_taken_username_is_refused
                a_new_password_ends_the_other_sessions
                a_new_password_of_nobody_is_refused
                last_seen_never_moves_back
                search_is_by_folded_prefix_of_either_name
                search_follows_a_change_of_name
                search_leaves_out_the_viewer_the_blocked_and_the_hidden
                search_takes_every_character_for_itself
                search_pages_make_the_whole_list
            }
            session {
                a_session_survives_the_round_trip
                a_session_of_nobody_is_refused
                a_token_is_good_for_one_rotation
                a_token_nobody_had_is_unknown
                a_used_token_revokes_its_session_and_no_other
                a_token_of_an_ended_session_is_ended
                of_many_rotations_of_one_token_one_succeeds
                the_list_is_of_live_sessions_latest_used_first
                only_a_live_session_of_the_user_is_revoked
                revoking_all_spares_one_and_answers_which
                purging_takes_the_ended_with_their_tokens
            }
            block {
                a_block_counts_for_both
                those_of_many_who_are_apart_are_found_together
                blocking_and_unblocking_are_idempotent
                each_block_is_lifted_by_itself
                nobody_cannot_be_blocked
                pages_make_the_whole_list
            }
            conversation {
                a_direct_one_is_made_whole
                a_pair_has_one_direct_one_in_either_order
                a_direct_one_is_found_by_its_pair_alone
                of_many_who_open_one_direct_one_makes_it
                a_direct_one_with_nobody_is_refused
                a_group_is_made_whole
                a_group_with_nobody_is_not_made
                a_room_is_made_whole
                a_room_that_is_there_is_entered
                of_many_who_open_one_room_one_makes_it
                a_look_for_what_is_not_there_is_none
                a_conversation_is_found_with_members_present_and_past
                a_summary_is_what_its_member_sees
                who_was_not_handed_everything_is_behind
                peers_are_together_and_unblocked
                two_share_a_conversation_while_both_are_in_it
            }
            listing {
                the_list_is_by_latest_activity
                the_list_is_divided_by_archived
                pages_of_the_list_make_the_whole
                heads_say_where_each_stands
                pages_of_members_make_the_whole
            }
            conversation_change {
                an_update_takes_the_next_rev
                an_update_that_changes_nothing_takes_no_rev
                who_may_not_update_changes_nothing
                only_an_owner_deletes
                a_deleted_one_does_not_exist_for_look_ups
                a_deleted_one_does_not_exist_for_changes
                a_deleted_room_frees_its_slug
                purging_takes_messages_of_deleted_ones_alone
                preferences_are_private_and_take_no_rev
                preferences_of_one_who_is_not_there_are_none
            }
            member {
                joining_a_room_is_idempotent
                only_a_room_can_be_joined
                who_comes_back_starts_anew
                who_enters_a_room_without_owner_becomes_it
                added_members_come_in_order_at_revs_of_their_own
                who_is_added_back_starts_anew
                one_unknown_user_and_nobody_is_added
                who_may_not_add_adds_nobody
                of_simultaneous_additions_each_comes_once
                leaving_is_kept_as_a_change
                removal_follows_the_roles
                the_last_owner_is_succeeded_in_order
                one_of_two_owners_is_not_succeeded
                an_emptied_group_is_deleted
                of_members_who_all_leave_the_last_deletes_the_group
                a_removal_and_a_message_do_not_cross
            }
            role {
                a_role_takes_the_next_rev_if_it_is_another
                roles_are_given_by_the_rules
                the_last_owner_cannot_step_down
                of_owners_who_all_step_down_one_stays
            }
            leaving {
                who_left_cannot_send_until_back
                who_left_is_refused_whatever_else_came_meanwhile
            }
            append {
                a_message_gets_the_next_numbers
                an_empty_batch_answers_nothing
                every_field_survives_the_round_trip
                text_is_kept_to_the_last_character
                time_never_runs_back_in_a_conversation
                a_batch_of_many_conversations_is_numbered_in_each
                a_bad_item_spoils_no_other
                sending_moves_the_senders_own_watermarks
                a_reply_in_a_thread_counts_in_its_root
                a_batch_may_lean_on_its_own_earlier_items
                many_writers_leave_no_hole
                writers_and_changers_share_the_revs
            }
            attachment {
                an_upload_is_pending_and_then_ready
                what_is_not_there_is_none
                only_a_pending_one_is_completed
                a_message_shows_its_attachments_wherever_it_is_read
                one_that_is_not_free_is_refused
                of_many_messages_that_claim_one_it_goes_to_one
                a_message_that_is_not_stored_claims_nothing
                deleting_a_message_condemns_its_attachments
                purging_condemns_what_the_messages_had
                only_what_is_used_by_nothing_is_condemned
                what_was_left_for_long_is_condemned
                sending_and_condemning_do_not_cross
                the_condemned_come_again_until_they_are_removed
                many_in_one_batch_are_told_apart
            }
            media {
                media_are_those_of_live_messages
                pages_of_media_make_the_whole
                stats_are_of_live_messages_by_kind
            }
            avatar {
                a_user_gets_a_picture
                a_group_gets_a_picture_at_its_next_rev
                who_may_not_make_an_avatar_changes_nothing
                of_many_avatars_at_once_one_stays
                another_link_condemns_the_picture
                a_purged_group_loses_its_picture
            }
            lease {
                a_lease_is_of_one_holder_until_it_ends
                a_holder_renews
                leases_of_other_names_are_apart
                of_many_who_ask_at_once_one_gets_it
            }
            idempotency {
                the_same_again_is_a_duplicate_forever
                a_key_with_other_content_is_a_mismatch
                a_key_is_the_senders_own_and_the_conversations_own
                messages_without_a_key_are_never_the_same
                a_refused_message_does_not_take_its_key
                of_many_attempts_with_one_key_one_is_stored
            }
            message {
                an_edit_takes_the_next_rev
                an_edit_gives_words_to_a_bare_attachment
                an_edit_to_the_same_words_changes_nothing
                only_the_sender_edits
                deletion_leaves_a_tombstone
                deleting_again_changes_nothing
                sender_admin_and_owner_delete
                what_is_not_there_is_none
                history_is_read_from_either_end
                a_snapshot_has_the_newest_oldest_first
            }
            reaction {
                reactions_come_in_the_order_of_reacting
                reacting_and_taking_back_are_idempotent
                who_may_not_react_changes_nothing
                different_emoji_are_bounded
                all_who_react_are_counted_and_the_first_are_named
                an_emoji_keeps_its_place_while_anybody_holds_it
                of_simultaneous_reactions_each_counts
            }
            thread {
                a_thread_is_read_in_order
                deleting_a_reply_takes_it_out_of_the_count
                a_thread_outlives_its_root
            }
            change {
                of_nowhere_there_are_none
                a_new_group_is_told_from_its_first_rev
                every_kind_of_change_takes_one_rev
                an_old_message_is_told_whatever_changes_of_it
                watermarks_and_preferences_take_no_rev
                a_thing_is_told_once_as_it_is_now
                the_root_of_a_thread_comes_before_the_reply_of_its_rev
                pages_make_the_whole_whatever_their_size
                from_any_rev_on_the_rest_is_told
                a_page_of_changes_is_one_moment
                who_left_and_came_back_is_told_as_present
                the_heir_of_an_owner_is_told
            }
            receipt {
                a_mark_moves_forward_only
                read_implies_delivered
                no_mark_passes_the_last_message
                a_mark_has_the_time_it_moved
                a_batch_moves_each_to_the_highest
                of_simultaneous_moves_the_highest_stays
                receipts_of_present_members_are_listed
                everybody_has_read_up_to_its_own_newest_message
                whoever_is_told_of_has_read_what_it_sent
                many_who_send_leave_the_others_where_they_are
                unread_is_live_messages_of_others_above_the_mark
                who_comes_back_has_nothing_unread
                unread_is_counted_up_to_a_cap
            }
            search {
                all_terms_must_be_there_in_any_order
                the_last_term_is_a_prefix_and_no_other
                case_and_form_make_no_difference
                texts_without_spaces_are_found_by_their_pairs
                a_query_is_words_and_never_a_language
                only_live_words_are_found
                only_the_viewers_conversations_are_searched
                filters_narrow_what_is_found
                pages_make_the_whole_highest_id_first
                a_long_text_is_found_by_its_words
            }
            indexing {
                a_step_takes_in_what_is_old_enough_and_no_more_than_asked
                what_is_indexed_is_found_as_it_is_edited_and_deleted
                pages_go_through_many_segments
                who_writes_while_it_is_indexed_is_found
                a_clock_that_was_ahead_does_not_stop_it
            }
            property {
                any_sequence_goes_as_the_model_says
                one_sequence_looks_alike_on_two_storages
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($backend:ty; $($port:ident { $($case:ident)* })*) => {
        $(mod $port {
            // names of the adapter's test file, such as the backend's
            #[allow(unused_imports)]
            use super::*;

            $(#[::tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let world = $crate::World::of::<$backend>().await;
                $crate::cases::$port::$case(&world).await;
            })*
        })*
    };
}

#[cfg(test)]
mod tests {
    macro_rules! names {
        ($unit:ty; $($port:ident { $($case:ident)* })*) => {
            [$((stringify!($port), include_str!(concat!("cases/", stringify!($port), ".rs")), &[$(stringify!($case)),*][..])),*]
        };
    }

    /// A case that is written but not listed would never run.
    #[test]
    fn every_case_is_listed() {
        for (port, source, listed) in crate::__cases!([names]()) {
            let mut written: Vec<&str> = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn "))
                .filter_map(|rest| rest.split_once("(w: &World)"))
                .map(|(name, _)| name)
                .collect();
            let mut listed = listed.to_vec();
            written.sort_unstable();
            listed.sort_unstable();
            assert_eq!(written, listed, "cases of {port}");
        }
    }
}
