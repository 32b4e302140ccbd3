"""Modal's app: submit, status, cancel, stats and scale on one address, and the GPU function behind it. No logic of its own [G2]. docs/gpu.md, Modal."""
import json
import os
import subprocess
import time

import modal

from forward import run_job, wait_until_ready

app = modal.App(os.environ.get("COMFYUME_MODAL_APP", "comfyume"))
calls = modal.Dict.from_name("comfyume-calls", create_if_missing=True)
gpu_image = modal.Image.from_registry(os.environ.get("COMFYUME_IMAGE", "comfyume-gpu:dev"), add_python="3.12").entrypoint([]).add_local_python_source("forward")


@app.cls(image=gpu_image, gpu=os.environ.get("COMFYUME_GPU", "L40S"), timeout=7200, scaledown_window=600, max_containers=int(os.environ.get("COMFYUME_MAX", "4")),
         volumes={"/models": modal.Volume.from_name("comfyume-models", create_if_missing=True)}, secrets=[modal.Secret.from_name("comfyume")])
class Gpu:
    @modal.enter()
    def start(self):
        self.runner = subprocess.Popen(["/opt/comfyume/start.sh", "modal"])
        wait_until_ready(lambda: self.runner.poll() is None)

    @modal.method()
    def run(self, dispatch):
        return run_job(dispatch)

    @modal.exit()
    def stop(self):
        self.runner.terminate()
        self.runner.wait(25)


@app.function(image=modal.Image.debian_slim().add_local_python_source("forward"))
@modal.wsgi_app(requires_proxy_auth=True)
def web():
    return serve


def serve(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = json.loads(environ["wsgi.input"].read(size)) if size else {}
    status, said = answer(environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").split("/"), body)
    start_response(f"{status} .", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]


def answer(method, path, body):
    if path == ["submit"]:
        return submit(body)
    if path == ["stats"]:
        stats = Gpu().run.get_current_stats()
        return 200, {"backlog": stats.backlog, "runners": stats.num_total_runners}
    if path == ["scale"]:
        return 200, Gpu().update_autoscaler(min_containers=body["min"]) or {}
    call_id = calls.get(path[1]) if len(path) == 2 else None
    if not call_id:
        return 404, {"detail": "no such dispatch"}
    run = modal.FunctionCall.from_id(call_id)
    if path[0] == "cancel":
        return 200, run.cancel() or {}
    try:
        return 200, {"output": run.get(timeout=0)}
    except TimeoutError:
        return 202, {"state": "pending"}
    except Exception as error:  # whatever went wrong with the call is what is asked for
        return 200, {"error": f"{type(error).__name__}: {error}"}


def submit(dispatch):
    """The first of several equal submits spawns; the others are told its call."""
    key = dispatch["dispatch_id"]
    if calls.put(key, "", skip_if_exists=True):
        calls[key] = Gpu().run.spawn(dispatch).object_id
    for _ in range(40):
        if calls.get(key):
            return 200, {"call_id": calls[key]}
        time.sleep(0.1)
    return 503, {"detail": "the first submit of this dispatch has not ended yet"}
