"""Brings models to a machine before ComfyUI starts: each file of a manifest, once, checked by size and SHA-256. Standard library only.

    hydrate.py MANIFEST_URL FOLDER

The manifest is JSON: {"files": [{"folder": "vae", "name": "flux2-vae.safetensors", "url": "https://…", "size": 335304388, "sha256": "…"}]}.
A broken download goes on where it stopped; a file whose bytes are not the announced ones is deleted and named, and the exit code is 1.
"""
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request

CHUNK = 8 * 1024 * 1024
TRIES = 5


def fetch(url, path, size):
    """Appends to what is there until the size is reached."""
    for attempt in range(TRIES):
        have = os.path.getsize(path) if os.path.exists(path) else 0
        if have >= size:
            return
        try:
            request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
            with urllib.request.urlopen(request, timeout=60) as answer:
                # A server without ranges begins again.
                with open(path, "ab" if have and answer.status == 206 else "wb") as out:
                    while chunk := answer.read(CHUNK):
                        out.write(chunk)
        except (OSError, urllib.error.URLError) as error:
            print(json.dumps({"event": "model_retry", "file": os.path.basename(path), "try": attempt + 1, "error": str(error)}), flush=True)
            time.sleep(min(30, 2**attempt))


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def bring(entry, root):
    """True when the file is there as announced. A volume that keeps its files keeps the mark of the check beside each."""
    target = os.path.join(root, entry["folder"], entry["name"])
    if os.path.commonpath([os.path.realpath(root), os.path.realpath(target)]) != os.path.realpath(root):
        raise SystemExit(f"{entry['folder']}/{entry['name']} leaves the models' folder: no file of this manifest after it was fetched")
    mark = f"{target}.sha256"
    if os.path.exists(target) and os.path.getsize(target) == entry["size"] and os.path.exists(mark) and open(mark).read() == entry["sha256"]:
        return True
    os.makedirs(os.path.dirname(target), exist_ok=True)
    part = target if os.path.exists(target) else f"{target}.part"
    fetch(entry["url"], part, entry["size"])
    if not os.path.exists(part) or os.path.getsize(part) != entry["size"] or digest(part) != entry["sha256"]:
        if os.path.exists(part) and os.path.getsize(part) >= entry["size"]:
            os.remove(part)
        return False
    os.replace(part, target)
    with open(mark, "w") as file:
        file.write(entry["sha256"])
    return True


def main(manifest_url, root):
    with urllib.request.urlopen(manifest_url, timeout=60) as answer:
        files = json.load(answer)["files"]
    missing = []
    for entry in files:
        begun = time.monotonic()
        good = bring(entry, root)
        print(json.dumps({"event": "model" if good else "model_wrong", "file": f"{entry['folder']}/{entry['name']}", "seconds": round(time.monotonic() - begun, 1)}), flush=True)
        if not good:
            missing.append(entry["name"])
    if missing:
        print(f"These models are not as the manifest says: {', '.join(missing)}. Check their url, size and sha256.", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
