"""RunPod's handler: hands each job to the runner beside it and returns the runner's answer. No logic of its own [G2].

start.sh starts the runner and ComfyUI first, and passes SIGTERM on to them. A cancelled job needs nothing here: the platform has told the runner.
"""
import runpod

from forward import run_job, wait_until_ready


def handler(job):
    return run_job(job["input"])


if __name__ == "__main__":
    wait_until_ready()
    runpod.serverless.start({"handler": handler})
