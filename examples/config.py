#!/usr/bin/env python3
"""A service that takes its config from a sidecar and follows it, with Python's own http.client.

usage: config.py SOCKET PATH      prints a line for each revision: its number, the keys that changed, the config
"""

import http.client
import json
import socket
import sys


class Sidecar(http.client.HTTPConnection):
    """HTTP over the sidecar's Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def config(sidecar, path):
    """The document at a path, as a dictionary."""
    sidecar.request("GET", f"/api/v1/configs/{path}?format=json")
    answer = sidecar.getresponse()
    body = json.load(answer)
    if answer.status != 200:
        raise RuntimeError(body["error"]["message"])
    return json.loads(body["value"])


def revisions(socket_path, path):
    """Each revision with what changed at or under a path; the first one comes at once."""
    watch = Sidecar(socket_path)
    watch.request("GET", f"/api/v1/watch?prefix={path}")
    for line in watch.getresponse():
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


def main(socket_path, path):
    reader = Sidecar(socket_path)
    for event in revisions(socket_path, path):
        changed = [change for change in event["changes"] if change["path"] == path]
        if event["resync"] or changed:
            keys = [key for change in changed for key in change.get("keys", [])]
            now = json.dumps(config(reader, path), sort_keys=True)
            print(event["revision"], ",".join(keys) or "-", now, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
