# SPDX-License-Identifier: Apache-2.0
"""Deliberately wrong variants of the product: each breaks one promise, and the simulator has to notice.

A mutant replaces one piece of text, which must occur exactly once in its file (`mutants_test.py`
checks that in every test run, so the list follows the code). `seeds` is within how many random seeds
it has to be caught; a mutant that needs a rare meeting of things names a story instead."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    breaks: str # the rule, as docs/SYNC.md and the invariants name it
    path: str
    old: str
    new: str
    seeds: int = 60
    story: str = "" # of tests/sim, instead of random seeds


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
           "if (values == NULL && gone->kind == GONE_LEFT && own_bucket != bucket &&"),
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
           "        mask &= ~pending->hold_mask;\n", ""),
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
           "    (void)now;\n"),
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
           "    if (line->base_seq > row->base_seq || row->base_seq == INT64_MAX)\n"),
    Mutant("the_resume_token_is_not_stored", "no false alarm: a device is never taken for a copy",
           "agent/replica/session.c",
           "    enum result result = state_set_data(replica, \"resume_token\", welcome->resume_token, problem);\n",
           "    enum result result = RESULT_OK;\n"),
    Mutant("nobody_says_what_there_is_below_the_mark", "a deleted row never comes back",
           "server/core/feed_part.c",
           "    return bucket->needs_ids || (bucket->seq > 0 && departures_known(bucket) <"
           " bucket->tomb_low);\n",
           "    return bucket->needs_ids;\n"),
)
