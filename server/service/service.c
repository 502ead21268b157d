/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/service.h"

#include "server/service/activity.h"
#include "server/service/call_fold.h"

const struct reaction *service_reactions(void)
{
    static const struct reaction REACTIONS[] = {
        {"call", call_react},
        {"call_event", call_event_react},
        {"activity", activity_react},
        {"activity_event", activity_event_react},
        {"activity_result", activity_result_react},
        {"work_session", work_session_react},
        {NULL, NULL},
    };

    return REACTIONS;
}
