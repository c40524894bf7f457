#!/bin/sh
# The rings side by side: those of whole stacks wait much, so others find room beside them on 2 cores. The faults
# come last, when it is quieter: they look at times.
# Usage: infra/test.sh BIN [pytest's arguments]. Exit status 1 if any test failed.
set -u
bin=$1
shift
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

beside() {
    name=$1
    shift
    "$bin/python" -m pytest "$@" >"$logs/$name" 2>&1 &
}
beside units "$@" tests/unit
units=$!
beside inside "$@" tests/integration
inside=$!
"$bin/python" -m pytest "$@" tests/acceptance tests/faults
outcome=$?
wait "$units" || outcome=1
wait "$inside" || outcome=1
for name in units inside; do
    echo
    case $name in
    units) echo "Unit tests, run meanwhile:" ;;
    *) echo "Integration tests, run meanwhile:" ;;
    esac
    cat "$logs/$name"
done
[ "$outcome" -eq 0 ]
