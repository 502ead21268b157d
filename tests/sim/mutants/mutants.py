# SPDX-License-Identifier: Apache-2.0
"""Deliberately wrong variants of the product: each breaks one promise, and the simulator has to notice.

A mutant replaces one piece of text, which must occur exactly once in its file (`mutants_test.py`
checks that in every test run, so the list follows the code). `seeds` is within how many random seeds
it has to be caught; a mutant that needs a rare meeting of things names a story instead, and one of
what the simulator doesn't reach, a unit test."""

import os
import re
from dataclasses import dataclass

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


@dataclass(frozen=True)
class Mutant:
    name: str
    breaks: str # the rule, as docs/SYNC.md and the invariants name it
    path: str
    old: str
    new: str
    seeds: int = 60
    story: str = "" # of tests/sim, instead of random seeds
    unit: str = ""  # a program of tests, without .c, instead of both


def stories():
    """Program by story."""
    folder = os.path.join(ROOT, "tests", "sim")
    found = {}
    for file in sorted(os.listdir(folder)):
        if not re.fullmatch(r"stories\w*\.c", file):
            continue
        with open(os.path.join(folder, file), encoding="utf-8") as source:
            for name in re.findall(r"^static void (\w+)\(void \*\*state\)", source.read(), re.M):
                found[name] = file[:-2]
    return found


MUTANTS = (
    Mutant("answered_though_the_commit_failed", "I2: acknowledged means durable",
           "server/core/master.c",
           "        work_abandon(master->work);\n"
           "        store_rollback(master->store);\n"
           "        *outcome = (struct master_outcome){0};\n",
           "        work_abandon(master->work);\n"
           "        store_rollback(master->store);\n"
           "        *outcome = (struct master_outcome){0};\n"
           "        result = *ret_is_adoption ? result : RESULT_OK;\n"),
    Mutant("server_does_not_wait_for_the_disk", "I2: acknowledged means durable",
           "schema/sql.c",
           'PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;',
           'PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;'),
    Mutant("cursor_one_too_far", "I5: every replica equals the master",
           "server/core/feed_read.c",
           ".seq = round->reader->head};\n",
           ".seq = round->reader->head + 1};\n"),
    Mutant("published_without_the_last_tail", "R1: publish at the head",
           "server/core/feed_read.c",
           "    for (size_t i = 0; i < round->next.count && result == RESULT_OK; i++)\n"
           "        result = send_part(round, &parts[i], problem);\n",
           "    for (size_t i = 0; i + 1 < round->next.count && result == RESULT_OK; i++)\n"
           "        result = send_part(round, &parts[i], problem);\n"),
    Mutant("departure_beats_the_other_bucket", "R2: the guard",
           "agent/replica/publish.c",
           "if (values != NULL && gone->kind == GONE_LEFT && own_bucket != bucket &&",
           "if (values == NULL && gone->kind == GONE_LEFT && own_bucket != bucket &&",
           unit="unit/agent/replica/publish"),
    Mutant("a_list_counts_for_a_row_that_was_moved", "I4: a device shows the master",
           "agent/replica/publish.c",
           "    if (values != NULL && gone->kind == GONE_LEFT && own_bucket == bucket)\n",
           "    if (values == NULL && gone->kind == GONE_LEFT && own_bucket == bucket)\n",
           unit="unit/agent/replica/publish"),
    Mutant("nobody_is_told_that_a_row_moved", "I5: every replica equals the master",
           "server/store/work_flush.c",
           "    result = row_hash(work, row, canonical, problem);\n"
           "    if (result == RESULT_OK && row->stored_bucket != 0 && row->stored_bucket != row->row.bucket)\n",
           "    result = row_hash(work, row, canonical, problem);\n"
           "    if (result == RESULT_OK && row->stored_bucket < 0 && row->stored_bucket != row->row.bucket)\n"),
    Mutant("verdict_without_the_servers_row", "R4: echo",
           "server/core/ingest_answer.c",
           "    verdict->has_row = true;\n", ""),
    Mutant("what_is_mine_hides_what_is_theirs", "no echo of own values, but of everything else",
           "server/core/feed_part.c",
           "        if (author >= 0 && author != versions->columns[i].replica_no)\n"
           "            return 0;\n",
           ""),
    Mutant("incoming_rows_overwrite_unsent_edits", "I6: rebase",
           "agent/replica/apply.c",
           "            return result;\n"
           "        mask &= ~pending->mask;\n",
           "            return result;\n"),
    Mutant("incoming_rows_overwrite_what_was_just_answered", "I4: never a mixture",
           "agent/replica/apply.c",
           "        mask &= ~pending->hold_mask;\n", "",
           story="what_was_read_before_an_edit_comes_after_its_answer"),
    Mutant("a_bucket_leaves_with_unsent_work", "I7: nothing local is removed",
           "agent/replica/leave.c",
           "        if (row->is_edited)\n"
           "            result = keep(",
           "        if (row->is_edited && row->is_deleted)\n"
           "            result = keep("),
    Mutant("the_losing_value_is_forgotten", "I8: what loses is kept",
           "server/core/merge.c",
           "        note_loss(input, outcome, column_no, true);\n", ""),
    Mutant("the_overruled_value_is_forgotten", "I8: what loses is kept",
           "server/core/merge.c",
           "        note_loss(input, outcome, column_no, false);\n",
           "        outcome->set_mask |= UINT64_C(1) << column_no;\n"),
    Mutant("every_edit_counts_as_informed", "I8: a conflict is noticed",
           "server/core/merge.c",
           "    return version.seq > base_seq && version.replica_no != replica_no;\n",
           "    return version.seq > INT64_MAX - base_seq && version.replica_no != replica_no;\n"),
    Mutant("the_earlier_edit_wins", "last_writer: the later edit time wins",
           "server/core/merge.c",
           "    return a_us != b_us ? a_us > b_us : a_replica_no > b_replica_no;\n",
           "    return a_us != b_us ? a_us < b_us : a_replica_no > b_replica_no;\n",
           story="an_overruled_edit_is_kept_and_shown"),
    Mutant("clocks_are_trusted", "I9: a wrong clock can't win for ever",
           "server/core/ingest_keep.c",
           "    if (edited_at.us > now.us)\n"
           "        edited_at = now; /* a clock that is ahead can't win for ever (I9) */\n",
           "    (void)now;\n",
           story="a_clock_that_jumps_ahead_does_not_win_over_later_work"),
    Mutant("a_move_counts_as_an_edit_of_all_columns", "an informed edit beats what its author had seen",
           "server/store/work.c",
           "        if (versions->columns[i].seq == 0 &&\n",
           "        if (versions->columns[i].seq < 0 &&\n",
           story="a_moved_row_is_no_edit_of_its_columns"),
    Mutant("a_default_can_lose", "I8: only what somebody has said is kept as lost",
           "server/core/merge.c",
           "    if (is_equal || is_unsaid(input, column_no))\n",
           "    if (is_equal)\n",
           unit="unit/server/core/merge"),
    Mutant("who_lost_is_who_won", "I8: what loses is kept with its author",
           "server/core/merge.c",
           "        loss->replica_no = version.replica_no;\n",
           "        loss->replica_no = input->replica_no;\n"),
    Mutant("the_author_is_judged_by_what_is_his_now", "R8: entitlement at edit time",
           "server/core/ingest_rights.c",
           "        *ret_was = until != SCOPE_NEVER && until > base_seq;\n",
           "        *ret_was = until == INT64_MAX && base_seq >= 0;\n"),
    Mutant("an_applied_seal_is_not_noted", "I3: exactly once",
           "server/core/ingest.c",
           "UPDATE fs_replica SET lcn_high=?2, seal_high=?3, seal_digest=?4,",
           "UPDATE fs_replica SET lcn_high=?2, seal_high=seal_high, seal_digest=?4,"),
    Mutant("the_stored_verdicts_are_forgotten", "R6: the stored verdict again",
           "server/core/ingest.c",
           " FROM fs_verdict WHERE replica_no=?1 AND incarnation=?2\"",
           " FROM fs_verdict WHERE replica_no=-?1 AND incarnation=?2\""),
    Mutant("the_digest_is_not_updated", "I5: contents digests",
           "server/store/work_flush.c",
           "                               .has_old_hash = !is_arriving,\n",
           "                               .has_old_hash = false,\n"),
    Mutant("children_stay_where_their_parent_was", "R3: one home bucket",
           "server/store/work_flush.c",
           "    while (work->moved_next < work->moved.count && result == RESULT_OK) {\n",
           "    while (work->moved_next + 1 < work->moved_next && result == RESULT_OK) {\n"),
    Mutant("the_newest_base_of_a_row_counts", "an informed edit beats only what its author had seen",
           "agent/replica/outbox.c",
           "    if (line->base_seq < row->base_seq)\n",
           "    if (line->base_seq > row->base_seq || row->base_seq == INT64_MAX)\n",
           unit="unit/agent/replica/seal"),
    Mutant("the_resume_token_is_not_stored", "no false alarm: a device is never taken for a copy",
           "agent/replica/session.c",
           "    enum result result = state_set_data(replica, \"resume_token\", welcome->resume_token, problem);\n",
           "    enum result result = RESULT_OK;\n"),
    Mutant("nobody_says_what_there_is_below_the_mark", "a deleted row never comes back",
           "server/core/feed_part.c",
           "    return bucket->needs_ids || (bucket->seq > 0 && departures_known(bucket) <"
           " bucket->tomb_low);\n",
           "    return bucket->needs_ids;\n"),

    # ---- copies and restores ----
    Mutant("a_replaced_token_is_as_good_as_a_new_one", "a copied disk is seen",
           "server/core/devices_session.c",
           '    return "a resume token that was replaced came again";\n',
           "    return NULL;\n",
           story="a_copy_that_recorded_nothing_is_seen_by_its_token"),
    Mutant("the_server_keeps_the_old_token", "no false alarm: a device is never taken for a copy",
           "server/core/devices_session.c",
           "SET token_previous=?3, token_current=?2,",
           "SET token_previous=?3, token_current=coalesce(token_current,?2),"),
    Mutant("lost_changes_make_no_copy", "a disk that was put back is seen",
           "server/core/devices_session.c",
           "    if (fault == NULL && resume->lcn_last < standing->replica.lcn_high)\n"
           '        fault = "the device has lost changes that it had delivered";\n'
           "    return fault == NULL ? standing->seal_fault : fault;\n",
           "    return fault;\n",
           story="an_image_with_the_right_token_is_seen_by_its_change_numbers"),
    Mutant("the_server_ignores_the_epoch", "after a restore every bucket is read anew",
           "server/core/devices_session.c",
           "    is_epoch_same = bytes_equal(resume.epoch, standing.epoch);\n",
           "    is_epoch_same = true;\n",
           story="a_restored_server_gets_back_what_devices_still_hold"),
    Mutant("the_device_ignores_the_epoch", "after a restore nothing acknowledged is lost",
           "agent/replica/session.c",
           "    *ret_is_new_epoch = epoch.size > 0 && !bytes_equal(epoch, welcome->epoch);\n",
           "    *ret_is_new_epoch = epoch.size > INT64_MAX;\n",
           story="a_restored_server_gets_back_what_devices_still_hold"),
    Mutant("the_device_sends_nothing_again", "after a restore nothing acknowledged is lost",
           "agent/replica/session.c",
           '" WHERE lcn_last > ?1 AND seal_no > 0", /* not of a former number */',
           '" WHERE lcn_last > ?1 AND seal_no < 0",',
           story="a_restored_server_gets_back_what_devices_still_hold"),
    Mutant("sequence_numbers_are_given_twice", "I1: a restored server gives no number again",
           "server/core/devices.c",
           "UPDATE fs_state SET number=max(number,?1)+?2\"\n"
           "                               \" WHERE name IN",
           "UPDATE fs_state SET number=number+0*(?1+?2)\"\n"
           "                               \" WHERE name IN",
           story="a_restored_server_gets_back_what_devices_still_hold"),
    Mutant("replica_numbers_are_given_twice", "a number is one device's, also after a restore",
           "server/core/devices.c",
           "UPDATE fs_state SET number=max(number,?1)+?2\"\n"
           "                               \" WHERE name='replica_no_last'",
           "UPDATE fs_state SET number=number+0*(?1+?2)\"\n"
           "                               \" WHERE name='replica_no_last'",
           story="replica_numbers_are_not_given_again_after_a_restore"),
    Mutant("references_keep_the_old_ids", "a new number: references to a row follow it",
           "agent/replica/renew.c",
           "            result = rewrite(renewal, REFERENCES, table, table->columns[n].name, table_no);\n",
           "            result = rewrite(renewal, REFERENCES, table, table->columns[n].name, -1);\n",
           story="rows_that_get_other_ids_keep_what_refers_to_them"),
    Mutant("sealed_references_keep_the_old_ids", "a new number: waiting changes follow it",
           "agent/replica/renew.c",
           "            result = new_id_of(renewal, table_no, values[n].integer, &id);\n",
           "            id = values[n].integer;\n",
           story="rows_that_get_other_ids_keep_what_refers_to_them"),
    Mutant("twins_are_two_rows", "what two copies had recorded before is delivered once",
           "server/core/ingest_twin.c",
           "        *ret_row = row;\n",
           "        *ret_row = NULL;\n",
           story="a_cloned_disk_is_seen_held_and_both_deliver_all"),

    # ---- schemas ----
    Mutant("what_a_dropped_column_said_is_forgotten", "I15: old work stays readable",
           "server/core/ingest_schema.c",
           '    return ingest_keep_change(ingest, &whole, "parked", REASON_COLUMN_DROPPED, NULL, problem);\n',
           "    return dropped.mask != 0 ? RESULT_OK : ingest_keep_change(ingest, &whole, \"parked\","
           " REASON_COLUMN_DROPPED, NULL, problem);\n",
           story="a_device_three_versions_behind_delivers_and_catches_up"),
    Mutant("an_upgrade_brings_no_new_columns", "an upgraded device gets what it lacked",
           "server/core/devices_schema.c",
           "    if (!schema_version_lacks(before, now) || !is_gain(catalog, before, now))\n",
           "    if (!schema_version_lacks(before, now) || is_gain(catalog, before, now))\n",
           story="an_upgrade_sends_only_what_new_columns_hold"),
    Mutant("the_first_receipt_says_that_all_is_there", "an upgraded device gets what it lacked",
           "server/core/session.c",
           "session->has_published && session->is_confirmed &&",
           "session->has_published &&",
           story="new_columns_that_were_cut_off_come_with_the_next_session"),
    Mutant("an_absent_row_with_work_stays_for_ever", "a deleted row never comes back",
           "agent/replica/ids.c",
           "    if (pending != NULL && pending->hold_seq > ids->seq_to)\n",
           "    if (pending != NULL && (pending->is_edited || pending->hold_seq > ids->seq_to))\n",
           story="an_answer_that_comes_after_its_row_was_forgotten_lets_the_row_go"),
    Mutant("an_older_departure_takes_what_came_since", "I7: nothing local is removed",
           "agent/replica/apply.c",
           "    if (shadow.gone_kind != 0 && is_held(",
           "    if (shadow.gone_kind != 0 && !is_edited && is_held(",
           story="a_row_that_the_master_did_not_have_yet_stays"),
    Mutant("a_script_from_the_server_may_do_anything", "a server can't take a device over",
           "schema/restrict.c",
           "    if (is_ours && is_allowed(restriction->mode, action, a, b))\n",
           "    if (is_ours || is_allowed(restriction->mode, action, a, b))\n",
           unit="unit/schema/restrict"),
    Mutant("an_echo_goes_with_an_older_absence", "R4: the server's row of a verdict stays",
           "agent/replica/apply.c",
           "    if (result == RESULT_OK && is_ours && bucket != bucket_before)\n",
           "    if (result == RESULT_OK && is_ours && bucket < 0 && bucket != bucket_before)\n",
           story="a_row_that_the_server_put_elsewhere_outlives_the_old_place"),

    # ---- who may, and how much ----
    Mutant("a_revoked_device_leaves_nothing_behind", "a wipe comes after the rescue",
           "agent/core/parting.c",
           "    *ret_is_done = seal_no == 0;\n",
           "    *ret_is_done = seal_no >= 0;\n",
           story="a_revoked_device_leaves_its_work_behind_before_it_wipes"),
    Mutant("a_revoked_device_goes_on", "I10: a revoked device gets nothing",
           "server/core/devices_confirm.c",
           '"held")) ? REPLICA_HELD : REPLICA_REVOKED;',
           '"held")) ? REPLICA_HELD : REPLICA_ACTIVE;',
           story="a_revoked_device_leaves_its_work_behind_before_it_wipes"),
    Mutant("who_is_not_confirmed_is_let_in", "the office confirms each device",
           "server/core/devices_confirm.c",
           "        return is_confirmed ? REPLICA_ACTIVE : REPLICA_PENDING;\n",
           "        return is_confirmed || state.size > 0 ? REPLICA_ACTIVE : REPLICA_PENDING;\n",
           story="a_device_that_is_not_confirmed_waits_and_then_begins_by_itself"),
    Mutant("the_lease_never_ends", "a device without contact locks",
           "agent/replica/lease.c",
           "(now.us - lease->contact_at.us) / 1000000 > lease->lease_s;\n",
           "(now.us - lease->contact_at.us) / 1000000 > INT32_MAX * lease->lease_s;\n",
           story="a_lease_runs_from_the_last_contact"),
    Mutant("the_keys_before_are_forgotten_at_once", "a rotation locks nobody out",
           "server/core/devices_rotate.c",
           "UPDATE fs_replica SET next_public_key=?2, next_psk=?3\"",
           "UPDATE fs_replica SET psk=?3, next_public_key=?2, next_psk=?3\"",
           story="a_rotation_that_is_cut_anywhere_locks_nobody_out"),
    Mutant("nobody_sends_too_much", "one device can't take all of the server",
           "server/core/throttle.c",
           "    if (meter->levels_u[kind] > 0)\n",
           "    if (meter->levels_u[kind] > INT64_MIN)\n",
           story="who_sends_too_much_waits_and_loses_nothing"),

    # ---- attachments, stock, evidence ----
    Mutant("an_attachment_counts_before_it_is_whole", "an attachment is acknowledged when it is whole",
           "server/core/blobs.c",
           "    if (is_whole)\n"
           "        return send(exchange, MESSAGE_BLOB_HAVE, 0, size, nothing, problem);\n",
           "    if (is_whole || size > 0)\n"
           "        return send(exchange, MESSAGE_BLOB_HAVE, 0, size, nothing, problem);\n",
           story="a_photo_that_is_cut_in_the_middle_goes_on_from_there"),
    Mutant("a_use_is_put_back_as_often_as_it_is_said", "stock: a use is taken back once",
           "server/service/part.c",
           "    if (result != RESULT_OK || store_integer_at(&row, 0, 6, 0) > 0)\n",
           "    if (result != RESULT_OK || store_integer_at(&row, 0, 6, 0) < 0)\n",
           unit="unit/server/service/ledger"),
    Mutant("nobody_hears_of_a_van_below_zero", "stock: what can't be is shown to somebody",
           "domain/stock.c",
           "        !object(&answer, is_online && !is_van, REASON_NEGATIVE_STOCK, ROLE_WAREHOUSE))\n",
           "        !is_van && !object(&answer, is_online, REASON_NEGATIVE_STOCK, ROLE_WAREHOUSE))\n"),
    Mutant("an_older_connection_drives_out_a_newer", "no false alarm",
           "server/core/session_jobs.c",
           "    return hub_newest_of(&session->server->hub, replica_no) > session->connection;\n",
           "    return hub_newest_of(&session->server->hub, replica_no) == session->connection;\n",
           unit="unit/server/core/session"),
    Mutant("only_a_connection_that_is_here_makes_an_older_one_late", "no false alarm",
           "server/core/session_jobs.c",
           "    return hub_newest_of(&session->server->hub, replica_no) > session->connection;\n",
           "    return hub_find_replica(&session->server->hub, replica_no) != NULL &&\n"
           "           hub_newest_of(&session->server->hub, replica_no) > session->connection;\n",
           unit="unit/server/core/session"),
    Mutant("a_snapshot_begins_anew_where_it_waited", "what is half taken is taken on",
           "agent/core/downlink.c",
           "            ++*parts_taken;\n",
           "            *parts_taken = snapshot.part_count;\n",
           unit="unit/agent/core/agent"),
    Mutant("an_answer_leaves_what_an_older_image_said", "a device shows the master",
           "agent/replica/apply.c",
           "        shadow.mask = (shadow.mask & ~said) | mask;\n",
           "        shadow.mask = (shadow.mask & ~(said & 0)) | mask;\n",
           unit="unit/agent/replica/verdict"),
    Mutant("a_bundle_takes_what_no_longer_fits", "every row reaches its device",
           "server/core/feed_part.c",
           "    if (bundle->count > 0 && bundle->size + gathering.size > BUNDLE_SIZE_MAX) {\n",
           "    if (bundle->count > SNAPSHOT_PARTS_MAX) {\n",
           unit="unit/server/core/feed"),
    Mutant("what_is_in_the_log_is_taken_as_durable", "nobody sees what a power cut takes back",
           "server/store/sqlite/sqlite_store.c",
           "            result = make_durable(self, problem);\n",
           "            (void)make_durable;\n",
           story="what_a_failed_sync_left_in_the_log_is_made_durable_at_the_start"),
    Mutant("only_the_last_part_of_an_answer_counts", "every refusal reaches its device",
           "agent/core/uplink.c",
           "    if (verdict.part_no > 0)\n",
           "    if (verdict.part_no < 0)\n",
           story="a_transaction_of_which_each_row_is_refused_is_answered"),
    Mutant("a_repair_waits_for_somebody_to_write", "what differs is put right at once",
           "server/core/session_jobs.c",
           "        if (is_repair) {\n",
           "        if (is_repair && session->has_repaired) {\n",
           story="a_value_that_rots_on_a_device_is_found_by_the_digest"),
    Mutant("a_fork_of_a_devices_reports_is_not_seen", "signed reports: each follows the one before",
           "server/service/receipt.c",
           "        *ret_finding = &FORK;\n",
           "        *ret_finding = found.row_count > 0 ? &GOOD : &FORK;\n",
           unit="unit/server/service/receipt"),
)
