/* SPDX-License-Identifier: Apache-2.0 */
/* erasure.h: what stands where an erased value was and NULL isn't allowed. */
#pragma once

#define ERASURE_MARK "(erased)"
