"""In the emulator's place where it does not run: `-m ops.in_process PORT HANDLER` invokes the handler."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module

port, name = int(sys.argv[1]), sys.argv[2]
module, _, attribute = name.rpartition(".")
handler = getattr(import_module(module), attribute)


class Invocation(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(handler(event, None)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The function logs for itself."""


HTTPServer(("127.0.0.1", port), Invocation).serve_forever()
