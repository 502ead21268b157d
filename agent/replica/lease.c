/* SPDX-License-Identifier: Apache-2.0 */
/* How long this device works without contact, and whether it may work at all. */
#include "agent/replica/replica_inside.h"

enum result replica_set_lease(struct replica *replica, int64_t lease_s, struct problem *problem)
{
    struct sql_transaction transaction = {0};
    int64_t current = 0;
    enum result result = state_number(replica, "lease_s", 0, &current, problem);

    if (result != RESULT_OK || current == lease_s)
        return result;
    result = replica_write_begin(replica, &transaction, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "lease_s", lease_s, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    return result;
}

static enum result set_moment(struct replica *replica, const char *name, struct wall_time now,
                              struct problem *problem)
{
    struct sql_transaction transaction = {0};
    enum result result = replica_write_begin(replica, &transaction, problem);

    if (result == RESULT_OK)
        result = state_set_number(replica, name, now.us, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    return result;
}

enum result replica_note_contact(struct replica *replica, struct wall_time now,
                                 struct problem *problem)
{
    return set_moment(replica, "contact_at", now, problem);
}

enum result replica_note_revoked(struct replica *replica, struct wall_time now,
                                 struct problem *problem)
{
    return set_moment(replica, "revoked_at", now, problem);
}

enum result replica_lease(struct replica *replica, struct replica_lease *ret_lease,
                          struct problem *problem)
{
    struct replica_lease lease = {0};
    enum result result = state_number(replica, "lease_s", 0, &lease.lease_s, problem);

    if (result == RESULT_OK)
        result = state_number(replica, "contact_at", 0, &lease.contact_at.us, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "revoked_at", 0, &lease.revoked_at.us, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "replica_no", 0, &lease.replica_no, problem);
    if (result == RESULT_OK)
        *ret_lease = lease;
    return result;
}

bool replica_lease_is_over(const struct replica_lease *lease, struct wall_time now)
{
    return lease->lease_s > 0 && lease->contact_at.us > 0 &&
           (now.us - lease->contact_at.us) / 1000000 > lease->lease_s;
}
