"""An HTTP server of one process, which answers what it is told to."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint(ThreadingHTTPServer):
    """Answers `answers` in turn, the last again and again, and keeps what it was asked."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answers, self.asked = list(answers), list[Asked]()
        self.host = f"127.0.0.1:{self.server_port}"


class Asked(BaseHTTPRequestHandler):
    server: Endpoint

    def answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(self)
        status, said = self.server.answers[0]
        del self.server.answers[: len(self.server.answers) > 1]
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815  # as the standard library has them

    def log_message(self, *_: object) -> None:
        pass
