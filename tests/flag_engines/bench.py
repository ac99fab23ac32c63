"""The time that PyPI's openfeature-flagd-core takes for each flag of a file: nanoseconds, as JSON on stdout.

usage: python bench.py CONFIG CONTEXT, both JSON
"""

import json
import logging
import sys
import time

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

logging.disable(logging.CRITICAL)

core = FlagdCore()
core.set_flags(sys.argv[1])
context = json.loads(sys.argv[2])
context = EvaluationContext(context.pop("targetingKey", None), context)
ask = {
    "static": lambda: core.resolve_boolean_value("static", False, context),
    "if": lambda: core.resolve_boolean_value("if", False, context),
    "fractional": lambda: core.resolve_string_value("fractional", "", context),
}
out = {}
for name, once in ask.items():
    rounds = []
    for _ in range(5):
        start = time.perf_counter_ns()
        for _ in range(5000):
            once()
        rounds.append((time.perf_counter_ns() - start) / 5000)
    out[name] = sorted(rounds)[2]
print(json.dumps(out))
