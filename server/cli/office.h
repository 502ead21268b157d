/* SPDX-License-Identifier: Apache-2.0 */
/* office.h: how the commands of the office name people, customers, places, times and quantities.
 *
 * A name is taken where it is the only one of its kind, an id always. Everything here answers
 * RESULT_REFUSED with a sentence that says what was not found and what to try. */
#pragma once

#include "server/cli/cli.h"

/* The person with this login. */
MUST_CHECK enum result office_person(struct cli *cli, const char *login, int64_t *ret_user_id,
                                     struct problem *problem);
/* The person given as --by; 0 if it wasn't given: the server's own command. */
MUST_CHECK enum result office_by(struct cli *cli, int64_t *ret_user_id, struct problem *problem);
/* A row of party, site of that party (0: any), or activity_type with this name or id. */
MUST_CHECK enum result office_party(struct cli *cli, const char *text, int64_t *ret_id,
                                    struct problem *problem);
MUST_CHECK enum result office_site(struct cli *cli, const char *text, int64_t party_id,
                                   int64_t *ret_id, struct problem *problem);
MUST_CHECK enum result office_type(struct cli *cli, const char *text, int64_t *ret_id,
                                   struct problem *problem);

/* What the room server/service offers for looking up, run in a read transaction of its own. */
typedef enum result office_find(struct store *store, const char *text, struct arena *arena,
                                int64_t *ret_id, struct problem *problem);
MUST_CHECK enum result office_find_by(struct cli *cli, office_find *find, const char *text,
                                      int64_t *ret_id, struct problem *problem);

/* "2026-11-24T09:00:00Z" or "2026-11-24T09:00Z". */
MUST_CHECK enum result office_time(const char *text, int64_t *ret_us, struct problem *problem);
/* "2" or "0.5": at most three decimals; thousandths come out. */
MUST_CHECK enum result office_quantity(const char *text, int64_t *ret_quantity_m,
                                       struct problem *problem);
/* The other way: 2500 is "2.5". Lives in the command's arena; NULL: it is full. */
const char *office_quantity_text(struct cli *cli, int64_t quantity_m);

/* Says what was done as a line of text, or with --json as an object with these two. */
MUST_CHECK enum result office_done(struct cli *cli, const char *key, int64_t id, const char *name,
                                   const char *sentence, struct problem *problem);
