#!/usr/bin/env python3
"""Flags of a sidecar by the provider for Python of OpenFeature's Remote Evaluation Protocol, which asks the sidecar for
each evaluation. It has no events: who wants to know of changes reads the sidecar's stream, as here.

pip install openfeature-sdk openfeature-provider-ofrep
ofrep.py SOCKET CONTEXT KEY=DEFAULT...
"""

import socket
import sys
import time

import requests
import urllib3
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from requests.adapters import HTTPAdapter
from show import asked, show


class OverSocket(HTTPAdapter):
    """Has requests connect to a Unix socket, whatever the URL says."""

    def __init__(self, path):
        class Connection(urllib3.connection.HTTPConnection):
            def _new_conn(self):
                connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connected.connect(path)
                return connected

        self.pool = urllib3.HTTPConnectionPool("localhost")
        self.pool.ConnectionCls = Connection
        super().__init__()

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):
        return self.pool


def changes(session):
    """Gives "ready" with each connection, and "changed" whenever flags may be others."""
    while True:
        try:
            with session.get("http://localhost/ofrep/v1/events", stream=True) as stream:
                stream.raise_for_status()
                yield "ready"
                for line in stream.iter_lines(chunk_size=1):
                    if b"refetchEvaluation" in line:
                        yield "changed"
        except requests.RequestException as error:
            print(f"the sidecar is away: {error}", file=sys.stderr)
        time.sleep(0.5)


if __name__ == "__main__":
    socket_path, context, flags = asked()
    provider = OFREPProvider("http://localhost")
    provider.session.trust_env = False  # nothing of HTTP_PROXY
    provider.session.mount("http://", OverSocket(socket_path))
    api.set_provider_and_wait(provider)
    for why in changes(provider.session):
        show(why, context, flags)
