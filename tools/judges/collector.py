#!/usr/bin/env python3
"""OpenTelemetry's own definitions of the protocol read what a collector is told.

  collector.py FOLDER

It listens on a port of its own, which it writes to FOLDER/address. Each body is appended to FOLDER/bytes as it came, and each
span to FOLDER/spans as a line of JSON. A body that is no request of the protocol is answered with 400 and noted in
FOLDER/problems. While FOLDER/away is there, every request is answered with 503 and forgotten.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

folder = Path(sys.argv[1])


def values(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def spans(request, headers):
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "headers": headers,
                    "resource": values(resource.resource.attributes),
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": Span.SpanKind.Name(span.kind),
                    "began": span.start_time_unix_nano,
                    "ended": span.end_time_unix_nano,
                    "status": Status.StatusCode.Name(span.status.code),
                    "why": span.status.message,
                    "attributes": values(span.attributes),
                }


def problem(text):
    with open(folder / "problems", "a") as file:
        file.write(text + "\n")


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if (folder / "away").exists():
            return self.answer(503, b"")
        with open(folder / "bytes", "ab") as file:
            file.write(str(self.headers).encode() + body)
        if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
            problem(f"asked for {self.path} with {self.headers['content-type']}")
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError as error:
            problem(f"no request of the protocol: {error}")
            return self.answer(400, b"")
        # Unknown fields are kept and written again: what they add shows when they are taken away.
        known = ExportTraceServiceRequest()
        known.CopyFrom(request)
        known.DiscardUnknownFields()
        if known.ByteSize() != request.ByteSize():
            problem("there is more in it than the definitions know")
        lines = [json.dumps(span) + "\n" for span in spans(request, {"x-key": self.headers["x-key"]})]
        with open(folder / "spans", "a") as file:
            file.write("".join(lines))
        self.answer(200, ExportTraceServiceResponse().SerializeToString())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
draft = folder / "address.draft"
draft.write_text(f"http://127.0.0.1:{server.server_address[1]}")
os.rename(draft, folder / "address")
server.serve_forever()
