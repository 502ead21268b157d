#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `./dev crash`: the release build under kill -9 and power cuts (crash.py, with its options), or with
# `--partitions N` on a bad network (../chaos/partition.py).
folder=$(dirname "$0")
build=${FIELDSYNC_BUILD:-$folder/../../build/release}
if [ "${1-}" = --partitions ]; then
    runs=${2:?--partitions needs a number}
    shift 2
    exec python3 -B "$folder/../chaos/partition.py" --build "$build" --runs "$runs" "$@"
fi
exec python3 -B "$folder/crash.py" --build "$build" "$@"
