#!/usr/bin/env python3
"""Flags of a sidecar by flagd's provider for Python, which takes the definitions from the sidecar and evaluates by itself:
no evaluation leaves the process, none is in the audit log, and rules find no $peer. It splits users by "v3" whatever the
set says.

pip install openfeature-sdk openfeature-provider-flagd
flagd_in_process.py SOCKET CONTEXT KEY=DEFAULT...
"""

from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from show import asked, follow

if __name__ == "__main__":
    socket_path, context, flags = asked()
    # it joins host and port to the name that gRPC connects to: unix:PATH
    provider = FlagdProvider(resolver_type=ResolverType.IN_PROCESS, host="unix", port=socket_path)
    follow(provider, context, flags)
