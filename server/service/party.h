/* SPDX-License-Identifier: Apache-2.0 */
/* party.h: the same customer or end user entered twice on devices that couldn't know of each other.
 *
 * Both rows stay with everything that hangs on them; the help desk is asked whether they are one.
 * Merging them points one at the other (merged_into_id), and children keep their ids. What the
 * office imports or enters itself is not asked about: real data repeat numbers all the time. */
#pragma once

#include "server/store/work.h"

/* A party from a device with the tax code or VAT number of another. Reactions (work.h); running
 * them again changes nothing. */
MUST_CHECK enum result party_react(struct work *work, const struct work_change *change,
                                   struct problem *problem);
/* A contact from a device whose phone is that of another party's contact. */
MUST_CHECK enum result contact_react(struct work *work, const struct work_change *change,
                                     struct problem *problem);
