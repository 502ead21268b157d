#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `./dev crash [--kills N] [--devices N] [--seed N] [--keep]`: kill -9 against the release build.
folder=$(dirname "$0")
exec python3 -B "$folder/crash.py" --build "${FIELDSYNC_BUILD:-$folder/../../build/release}" "$@"
