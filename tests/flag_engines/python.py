"""PyPI's openfeature-flagd-core as a process: a question in JSON on each line of stdin, an answer on stdout."""

import json
import logging
import sys

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError

logging.disable(logging.CRITICAL)

for line in sys.stdin:
    question = json.loads(line)
    context = question["context"]
    key = context.pop("targetingKey", None)
    try:
        core = FlagdCore()
        core.set_flags(json.dumps(question["config"]))
        found = core.resolve_string_value("flag", "fallback", EvaluationContext(key, context))
        answer = {"variant": found.variant, "reason": found.reason, "code": None}
    except OpenFeatureError as error:
        answer = {"variant": None, "reason": "ERROR", "code": error.error_code.value}
    except Exception:
        answer = {"variant": None, "reason": "ERROR", "code": "THROWN"}
    print(json.dumps(answer), flush=True)
