#!/bin/sh
# The image's one way to start: models first where a manifest names them, then the runner, which starts and supervises ComfyUI. With `runpod` their handler
# stands beside it. A SIGTERM reaches the runner, which drains within ten seconds [G31].
set -eu

mode="${1:-${COMFYUME_MODE:-http}}"
data="${COMFYUME_DATA_DIR:-/data}"
here="${COMFYUME_HOME:-/opt/comfyume}"
mkdir -p "$data/input" "$data/output" "$data/temp" "$data/work"

if [ -n "${COMFYUME_MODELS_MANIFEST:-}" ]; then
  python3 "$here/hydrate.py" "$COMFYUME_MODELS_MANIFEST" "${COMFYUME_MODELS_DIR:-/models}"
fi

export COMFYUME_INPUT_DIR="$data/input" COMFYUME_OUTPUT_DIR="$data/output" COMFYUME_TEMP_DIR="$data/temp" COMFYUME_WORK_DIR="$data/work"
export COMFYUME_COMFY_CMD="${COMFYUME_COMFY_CMD:-python3 /opt/ComfyUI/main.py --listen 127.0.0.1 --port 8188 --preview-method auto --front-end-root $here/web --extra-model-paths-config $here/extra_model_paths.yaml --input-directory $data/input --output-directory $data/output --temp-directory $data ${COMFYUI_ARGS:-}}"

if [ "$mode" != runpod ]; then
  exec node "$here/runner.mjs" "$mode"
fi

node "$here/runner.mjs" runpod &
runner=$!
python3 "$here/runpod_handler.py" &
handler=$!
stop() {
  kill -TERM "$runner" 2>/dev/null || true
}
trap stop TERM INT
# Whichever ends first takes the other along: a machine with half of it is no use.
while kill -0 "$runner" 2>/dev/null && kill -0 "$handler" 2>/dev/null; do
  sleep 1 &
  wait $! || true
done
stop
wait "$runner" || true
kill -TERM "$handler" 2>/dev/null || true
