#!/usr/bin/env python3
"""A service that takes its config from a sidecar and follows it, with Python's own http.client.

usage: config.py SOCKET PATH      prints a line for each revision: its number, the keys that changed, the config

It ends when the sidecar does: whoever runs it starts it again.
"""

import contextlib
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


@contextlib.contextmanager
def asked(socket_path, target):
    """The sidecar's answer, on a connection of its own: one that rests is closed by the sidecar after a while."""
    with contextlib.closing(Sidecar(socket_path)) as sidecar:
        sidecar.request("GET", f"/api/v1/{target}")
        with sidecar.getresponse() as answer:
            if answer.status != 200:
                raise RuntimeError(json.load(answer)["error"]["message"])
            yield answer


def config(socket_path, path):
    """The document at a path, as a dictionary."""
    with asked(socket_path, f"configs/{path}?format=json") as answer:
        return json.loads(json.load(answer)["value"])


def revisions(socket_path, path):
    """Each revision with what changed at or under a path, until the sidecar ends; the first one comes at once."""
    with asked(socket_path, f"watch?prefix={path}") as answer:
        for line in answer:
            if line.startswith(b"data: "):
                event = json.loads(line.removeprefix(b"data: "))
                # "lagged" has none: after it comes a revision that says to read again
                if "revision" in event:
                    yield event


def main(socket_path, path):
    for event in revisions(socket_path, path):
        changed = [change for change in event["changes"] if change["path"] == path]
        if event["resync"] or changed:
            keys = [key for change in changed for key in change.get("keys", [])]
            now = json.dumps(config(socket_path, path), sort_keys=True)
            print(event["revision"], ",".join(keys) or "-", now, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
