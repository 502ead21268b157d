/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lease.h"

#include "protocol/unlock.h"

#include <inttypes.h>

enum { SECONDS_PER_DAY = 86400 };

enum result lease_check(struct replica *replica, struct wall_time now, struct problem *problem)
{
    struct replica_lease lease = {0};
    char challenge[UNLOCK_TEXT_SIZE];
    enum result result = replica_lease(replica, &lease, problem);

    if (result != RESULT_OK)
        return result;
    if (lease.revoked_at.us != 0)
        return problem_set(problem, RESULT_REFUSED,
                           "this device was revoked: its commands are locked");
    if (!replica_lease_is_over(&lease, now))
        return RESULT_OK;
    unlock_challenge(lease.replica_no, lease.contact_at, challenge);
    return problem_set(problem, RESULT_REFUSED,
                       "no contact with the office for more than %" PRId64
                       " days: the commands are locked. `fieldsync-agent sync` opens them, or read"
                       " replica %" PRId64 " and %s to the office and enter its answer with"
                       " `fieldsync-agent unlock`",
                       lease.lease_s / SECONDS_PER_DAY, lease.replica_no, challenge);
}

static bool is_answer_of(const struct identity_file *file, const struct replica_lease *lease,
                         const char *challenge, const char *answer)
{
    char expected[UNLOCK_TEXT_SIZE];
    bool is_same = keys_pair_is_complete(file) &&
                   unlock_answer(file->psk, lease->replica_no, challenge, expected) &&
                   unlock_is_same(expected, answer);

    identity_wipe(expected, sizeof expected);
    return is_same;
}

enum result lease_unlock(struct replica *replica, const struct keys *keys, const char *answer,
                         struct wall_time now, struct problem *problem)
{
    struct replica_lease lease = {0};
    char challenge[UNLOCK_TEXT_SIZE];
    enum result result = replica_lease(replica, &lease, problem);

    if (result != RESULT_OK)
        return result;
    if (lease.revoked_at.us != 0 || !replica_lease_is_over(&lease, now))
        return problem_set(problem, RESULT_REFUSED,
                           lease.revoked_at.us != 0 ? "this device was revoked"
                                                    : "this device isn't locked");
    unlock_challenge(lease.replica_no, lease.contact_at, challenge);
    /* the office may know either pair of a rotation that isn't over */
    if (!is_answer_of(&keys->file, &lease, challenge, answer) &&
        !(keys->has_next && is_answer_of(&keys->next, &lease, challenge, answer)))
        return problem_set(problem, RESULT_REFUSED,
                           "that isn't the answer to %s of replica %" PRId64, challenge,
                           lease.replica_no);
    return replica_note_contact(replica, now, problem);
}
