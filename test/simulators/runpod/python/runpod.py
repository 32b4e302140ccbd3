"""As much of RunPod's SDK as images/runpod_handler.py uses: jobs come as lines of JSON on standard input, outputs go as lines to standard output."""
import json
import sys


class serverless:  # noqa: N801 - the SDK's own name
    @staticmethod
    def start(config):
        for line in sys.stdin:
            print(json.dumps(config["handler"](json.loads(line))), flush=True)
