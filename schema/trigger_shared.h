/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_shared.h: what the capture triggers of all tables use. Static texts. */
#pragma once

#include "schema/trigger_text.h"

void trigger_shared_objects(enum schema_side side,
                            struct trigger_object ret_objects[TRIGGER_OBJECTS_MAX],
                            size_t *ret_count);
