#!/bin/sh
# The tests in groups, three at a time: those of whole stacks wait much, and others find room beside them on 2 cores.
# Whoever has ended a group takes the next that nobody has taken, so that no long one is left alone at the end.
# Usage: infra/test.sh BIN [pytest's arguments]. Exit status 1 if any test failed. With COVERAGE=1 it measures which lines
# of the product run in the tests' own processes; the report is build/coverage/index.html.
set -u
bin=$1
shift
groups="acceptance faults unit/test_[a-l]*.py unit/test_[m-z]*.py
    integration/test_[a-e]*.py integration/test_[f-l]*.py integration/test_[m-z]*.py"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
pytest="-m pytest"
if [ -n "${COVERAGE:-}" ]; then
    pytest="-m coverage run -m pytest"
    rm -rf build/coverage
    # Python's own way of watching lines, from 3.12 on, costs next to nothing.
    if "$bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then export COVERAGE_CORE=sysmon; fi
fi

take_groups() {
    number=0
    for group in $groups; do # their patterns match nothing here, but below tests/
        number=$((number + 1))
        mkdir "$logs/$number" 2>/dev/null || continue
        "$bin/python" $pytest "$@" tests/$group >"$logs/$number/said" 2>&1 || touch "$logs/failed"
        echo "tests/$group $(tail -n 1 "$logs/$number/said")"
    done
}
take_groups "$@" &
take_groups "$@" &
take_groups "$@" &
wait
number=0
for group in $groups; do
    number=$((number + 1))
    printf '\n--- tests/%s\n' "$group"
    cat "$logs/$number/said"
done
if [ -n "${COVERAGE:-}" ]; then
    "$bin/python" -m coverage combine --quiet && "$bin/python" -m coverage html --quiet
    echo "The tests ran $("$bin/python" -m coverage report --format=total) % of the lines: build/coverage/index.html"
fi
[ ! -e "$logs/failed" ]
