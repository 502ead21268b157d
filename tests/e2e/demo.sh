#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `./dev demo` comes here, with the release build made.
exec python3 -B "$(dirname "$0")/demo.py" "${FIELDSYNC_BUILD:-build/release}" "$@"
