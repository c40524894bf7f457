#!/bin/sh
# `make check`: every check runs, even after one has failed; exit status 1 if any did.
# Usage: sh infra/check.sh BIN      (BIN: the virtual environment's bin folder)
set -u
bin=$1
failed=

step() {
    name=$1
    shift
    echo "--- $name"
    "$@" || failed="$failed, $name"
}

step "format" "$bin/ruff" format --check .
step "lint" "$bin/ruff" check .
step "types" "$bin/mypy"
step "layers" "$bin/lint-imports" --no-logo
step "compose file" "$bin/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yml
step "Dockerfile" "$bin/hadolint" infra/docker/Dockerfile
step "YAML" "$bin/yamllint" --strict \
    --config-data "{extends: default, rules: {line-length: {max: 110}, document-start: disable}}" docker-compose.yml
step "known vulnerabilities" "$bin/python" infra/audit.py requirements/dev.lock

if [ -n "$failed" ]; then
    echo "make check: failed:${failed#,}" >&2
    exit 1
fi
echo "make check: all passed"
