#!/bin/sh
# The rings two by two: those of whole stacks wait much, so the others find room beside them on 2 cores.
# Usage: infra/test.sh BIN [pytest's arguments]. Exit status 1 if any test failed.
set -u
bin=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$bin/python" -m pytest "$@" tests/unit tests/integration >"$log" 2>&1 &
beside=$!
"$bin/python" -m pytest "$@" tests/acceptance tests/faults
outcome=$?
wait "$beside" || outcome=1
echo
echo "Unit and integration tests, run meanwhile:"
cat "$log"
[ "$outcome" -eq 0 ]
