#!/bin/sh
# `make encoder` and `make detector`: what ships beside the models, made anew from the wheels of its lock, which
# nothing else needs.
# Usage: sh infra/artefact.sh BIN KIND NAME FOLDER
#   BIN: the virtual environment's bin folder; KIND: encoder or detector; NAME: what it is called where it
#   ships; FOLDER: where it all goes
set -eu
bin=$1
kind=$2
name=$3
folder=$4

if [ ! "$folder/wheels/.ready" -nt "requirements/$kind.lock" ]; then
    rm -rf "$folder/wheels"
    "$bin/uv" pip install --quiet --python "$bin/python" --target "$folder/wheels" --no-deps --require-hashes \
        --only-binary :all: -r "requirements/$kind.lock"
    touch "$folder/wheels/.ready"
fi
"$bin/python" -m "infra.$kind" "$folder/wheels" "$folder/$name"
