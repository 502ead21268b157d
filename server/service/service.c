/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/service.h"

#include "server/service/activity.h"
#include "server/service/asset.h"
#include "server/service/call_fold.h"
#include "server/service/correction.h"
#include "server/service/ledger.h"
#include "server/service/part.h"
#include "server/service/party.h"
#include "server/service/reservation.h"

const struct reaction *service_reactions(void)
{
    static const struct reaction REACTIONS[] = {
        {"call", call_react},
        {"call_event", call_event_react},
        {"activity", activity_react},
        {"activity_event", activity_event_react},
        {"activity_result", activity_result_react},
        {"work_session", work_session_react},
        {"asset", asset_react},
        {"party", party_react},
        {"contact", contact_react},
        {"work_session", correction_react},
        {"part_use", correction_react},
        {"expense", correction_react},
        {"part_use", part_use_react},
        {"stock_move", stock_move_react},
        {"count_line", count_line_react},
        {"part_need", part_need_react},
        {"reservation", reservation_react},
        {"reservation_event", reservation_event_react},
        {NULL, NULL},
    };

    return REACTIONS;
}
