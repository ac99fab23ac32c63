"""What the examples in Python share: prints flags now, and again whenever the provider says that they may be others.

Flags are given as KEY=DEFAULT; the type of the default, which is JSON, is the type that is asked for.
"""

import json
import queue
import sys

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.provider import ProviderStatus

client = api.get_client()
CALLS = {
    bool: client.get_boolean_details,
    str: client.get_string_details,
    int: client.get_integer_details,
    float: client.get_float_details,
    dict: client.get_object_details,
    list: client.get_object_details,
}


def asked():
    """What is on the command line: where the sidecar is, who is asked for, and which flags."""
    socket_path, context, *flags = sys.argv[1:]
    attributes = json.loads(context)
    context = EvaluationContext(attributes.pop("targetingKey", None), attributes)
    pairs = (flag.split("=", 1) for flag in flags)
    return socket_path, context, [(key, json.loads(default)) for key, default in pairs]


def show(why, context, flags):
    """Prints why, then each flag: its value, variant, and reason or error."""
    print(why)
    for key, default in flags:
        found = CALLS[type(default)](key, default, context)
        reason = found.error_code or found.reason
        print(f"{key} = {json.dumps(found.value)} ({found.variant or '-'}, {reason})")
    print(flush=True)


def follow(provider, context, flags):
    """Shows flags when the provider is ready, each time that it has connected again, and when flags changed."""
    events = queue.SimpleQueue()
    api.set_provider(provider)
    api.add_handler(ProviderEvent.PROVIDER_READY, lambda _: events.put(("ready", flags)))
    api.add_handler(
        ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
        lambda event: events.put((f"changed: {' '.join(event.flags_changed)}", flags)),
    )
    api.add_handler(ProviderEvent.PROVIDER_STALE, lambda _: events.put(("the sidecar is away", [])))
    while True:
        why, shown = events.get()
        # flags that are in process change for the first time before they are ready
        if client.get_provider_status() is not ProviderStatus.NOT_READY:
            show(why, context, shown)
