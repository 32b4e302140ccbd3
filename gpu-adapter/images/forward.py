"""From a provider's Python to the runner beside it on this machine: standard library only, no logic of its own [G2]."""
import json
import os
import time
import urllib.error
import urllib.request

RUNNER = f"http://127.0.0.1:{os.environ.get('COMFYUME_PORT', '8189')}"
# The runner itself says 503 while ComfyUI starts; a cold start may read models from a network disk for minutes.
READY_S = 1800


def call(method, path, body=None, timeout=30):
    """The runner's status and its parsed body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(RUNNER + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def wait_until_ready(alive=lambda: True):
    """Returns when the runner takes jobs; raises when its process ended or half an hour passed."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and alive():
        try:
            if call("GET", "/health")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise RuntimeError("the runner did not become ready; its log says why")


def run_job(dispatch):
    """A success is the runner's envelope; anything else is passed on with its status, for the platform to read."""
    status, body = call("POST", "/v1/jobs", dispatch, timeout=None)
    return body if status == 200 else {"status": status, "body": body}
