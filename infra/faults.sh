#!/bin/sh
# The short list of the fault ring, again and again, each time with a new seed for all that is random.
# Usage: infra/faults.sh BIN REPEAT [pytest's arguments]. Stops at the first failure and keeps its logs;
# VOXMOOD_TEST_SEED repeats that one (with REPEAT=1).
set -u
bin=$1
repeat=$2
shift 2
given=${VOXMOOD_TEST_SEED:-}
kept=$(mktemp -d "${TMPDIR:-/tmp}/voxmood-faults-XXXXXX")
run=1
while [ "$run" -le "$repeat" ]; do
    VOXMOOD_TEST_SEED=${given:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
    export VOXMOOD_TEST_SEED
    began=$(date +%s)
    echo "run $run of $repeat, VOXMOOD_TEST_SEED=$VOXMOOD_TEST_SEED"
    if ! "$bin/python" -m pytest -m "not long" --basetemp "$kept/state" "$@" tests/faults >"$kept/log" 2>&1; then
        cat "$kept/log"
        echo "run $run failed: VOXMOOD_TEST_SEED=$VOXMOOD_TEST_SEED; logs and state folders: $kept"
        exit 1
    fi
    echo "    $(tail -n 1 "$kept/log"), $(($(date +%s) - began)) s"
    run=$((run + 1))
done
rm -rf "$kept"
