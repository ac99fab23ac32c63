"""Asks a sidecar for flags by a protocol, `ofrep` or `grpc`: a question a line, `{"type", "key", "context"}`, and for each a
line with `value`, `reason`, `errorCode` and `metadata`, which are left out where there is none.

usage: wire.py PROTOCOL SOCKET
"""

import http.client
import json
import socket
import sys
from urllib.parse import quote

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from openfeature.schemas.protobuf.flagd.evaluation.v2 import evaluation_pb2, evaluation_pb2_grpc

# seconds an answer may take
PATIENCE = 20


class Sidecar(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def ofrep(path):
    sidecar = Sidecar(path)

    def ask(_, key, context):
        sidecar.request(
            "POST", f"/ofrep/v1/evaluate/flags/{quote(key, safe='')}", json.dumps({"context": context})
        )
        return json.load(sidecar.getresponse())

    return ask


def whole(value):
    """Numbers of a message are all of one kind."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value


CODES = {
    grpc.StatusCode.NOT_FOUND: "FLAG_NOT_FOUND",
    grpc.StatusCode.INVALID_ARGUMENT: "TYPE_MISMATCH",
    grpc.StatusCode.DATA_LOSS: "PARSE_ERROR",
    grpc.StatusCode.INTERNAL: "GENERAL",
}


def by_grpc(path):
    stub = evaluation_pb2_grpc.ServiceStub(grpc.insecure_channel(f"unix:{path}"))
    names = {"Boolean": "Boolean", "Integer": "Int", "Float": "Float", "String": "String", "Object": "Object"}

    def ask(kind, key, context):
        fields = Struct()
        fields.update(context)
        request = getattr(evaluation_pb2, f"Resolve{names[kind]}Request")(flag_key=key, context=fields)
        try:
            answer = getattr(stub, f"Resolve{names[kind]}")(request, timeout=PATIENCE)
        except grpc.RpcError as error:
            return {"errorCode": CODES.get(error.code(), str(error.code()))}
        said = {"reason": answer.reason, "metadata": whole(MessageToDict(answer.metadata))}
        if answer.HasField("value"):
            said["value"] = whole(MessageToDict(answer.value)) if kind == "Object" else answer.value
        return said

    return ask


if __name__ == "__main__":
    protocol, socket_path = sys.argv[1:]
    ask = {"ofrep": ofrep, "grpc": by_grpc}[protocol](socket_path)
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(ask(question["type"], question["key"], question["context"])), flush=True)
