#!/usr/bin/env python3
"""Flags of a sidecar by flagd's provider for Python, which asks the sidecar for each evaluation.

pip install openfeature-sdk openfeature-provider-flagd
flagd_rpc.py SOCKET CONTEXT KEY=DEFAULT...
flagd_rpc.py /run/strongroom/web/sidecar.sock '{"targetingKey":"ada"}' new-checkout=false 'theme="plain"'
"""

from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import CacheType, ResolverType
from show import asked, follow

if __name__ == "__main__":
    socket_path, context, flags = asked()
    # It joins host and port to the name that gRPC connects to: unix:PATH. Its cache would keep what changed while the
    # sidecar was away.
    provider = FlagdProvider(
        resolver_type=ResolverType.RPC, host="unix", port=socket_path, cache=CacheType.DISABLED
    )
    follow(provider, context, flags)
