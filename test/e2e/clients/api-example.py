"""A ComfyUI API client in Python's standard library: one socket, one prompt, its pictures.

Reads {"url", "header": [name, value], "prompt"} from standard input; writes {"types", "images"} (base64) to standard output.
The WebSocket is RFC 6455 over a plain socket: client frames are masked, pings are answered, fragments are joined.
"""
import base64
import hashlib
import json
import os
import socket
import struct
import sys
import urllib.parse
import urllib.request
import uuid


class Socket:
    def __init__(self, url, header):
        parts = urllib.parse.urlsplit(url)
        self.raw = socket.create_connection((parts.hostname, parts.port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        request = [
            f"GET {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"{header[0]}: {header[1]}", "", "",
        ]
        self.raw.sendall("\r\n".join(request).encode())
        self.stream = self.raw.makefile("rb")
        status = self.stream.readline().decode()
        answer = {}
        while (line := self.stream.readline().decode().strip()):
            name, _, value = line.partition(":")
            answer[name.lower()] = value.strip()
        want = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        if " 101 " not in status or answer.get("sec-websocket-accept") != want:
            raise SystemExit(f"no WebSocket: {status}{answer}")

    def _exactly(self, count):
        data = self.stream.read(count)
        if len(data) != count:
            raise SystemExit("the socket closed")
        return data

    def _frame(self):
        first, second = self._exactly(2)
        length = second & 127
        if length > 125:
            length = struct.unpack(">H" if length == 126 else ">Q", self._exactly(2 if length == 126 else 8))[0]
        return first & 128, first & 15, self._exactly(length)

    def _send(self, opcode, data):
        mask = os.urandom(4)
        body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self.raw.sendall(struct.pack(">BB", 128 | opcode, 128 | len(data)) + mask + body)

    def receive(self):
        """The next message: str, or bytes when it is binary."""
        whole, kind = b"", 0
        while True:
            last, opcode, data = self._frame()
            if opcode == 9:
                self._send(10, data)
            elif opcode == 8:
                raise SystemExit("the server closed the socket")
            elif opcode in (0, 1, 2):
                whole, kind = whole + data, opcode or kind
                if last:
                    return whole.decode() if kind == 1 else whole


def main():
    given = json.load(sys.stdin)
    url = given["url"].rstrip("/")
    client_id, prompt_id = str(uuid.uuid4()), str(uuid.uuid4())

    def call(path, body=None):
        request = urllib.request.Request(url + path, data=body, headers=dict([given["header"]]))
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    ws = Socket(f"{url}/ws?clientId={client_id}", given["header"])
    call("/prompt", json.dumps({"prompt": given["prompt"], "client_id": client_id, "prompt_id": prompt_id}).encode())
    types = []
    while True:
        message = ws.receive()
        if isinstance(message, bytes):
            continue
        message = json.loads(message)
        types.append(message["type"])
        if message["type"] == "executing" and message["data"]["node"] is None and message["data"]["prompt_id"] == prompt_id:
            break
    outputs = json.loads(call(f"/history/{prompt_id}"))[prompt_id]["outputs"]
    files = [file for output in outputs.values() for file in output.get("images", [])]
    images = [base64.b64encode(call("/view?" + urllib.parse.urlencode(file))).decode() for file in files]
    json.dump({"types": types, "images": images}, sys.stdout)


main()
