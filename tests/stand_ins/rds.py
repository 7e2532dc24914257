"""RDS's IAM sign-in, in front of a PostgreSQL that trusts whoever this lets through.

A token counts as on RDS: for this host and port, for the user who connects, of the given key and region, and
not older than it says. Over TLS alone, as with rds.force_ssl (Amazon RDS User Guide, "IAM database
authentication for MariaDB, MySQL, and PostgreSQL"). Prints one line for each sign-in.
"""

import argparse
import hashlib
import hmac
import select
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

# PostgreSQL, "Message Formats"
TLS, GSSAPI, PROTOCOL = 80877103, 80877104, 3


class Rds(socketserver.ThreadingTCPServer):
    """`refuse`: so many of the next tokens are taken for bad ones. `tokens`: all that came."""

    allow_reuse_address = daemon_threads = True
    block_on_close = False

    def __init__(
        self, certificate: str, key: str, target: str, keys: dict[str, str], region: str, *, port: int = 0
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.target, self.keys, self.region = target.rpartition(":"), keys, region
        self.host, self.refuse, self.tokens = "localhost", 0, list[str]()
        super().__init__(("127.0.0.1", port), Door)

    def fault(self, token: str, user: str) -> str | None:
        """Why RDS would not take the token. Computed from the token alone, without the application's code."""
        self.tokens.append(token)
        if self.refuse:
            self.refuse -= 1
            return "told to"
        where, _, query = token.partition("/?")
        given = dict(parse_qsl(query))
        made = given.pop("X-Amz-Signature", "")
        key, _, scope = given.get("X-Amz-Credential", "").partition("/")
        at = given.get("X-Amz-Date", "")
        text = "&".join(f"{quote(name, safe='')}={quote(given[name], safe='')}" for name in sorted(given))
        request = f"GET\n/\n{text}\nhost:{where}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        step = b"AWS4" + self.keys.get(key, "").encode()
        for part in (at[:8], self.region, "rds-db", "aws4_request"):
            step = hmac.new(step, part.encode(), hashlib.sha256).digest()
        signed = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}".encode()
        right = hmac.new(step, signed, hashlib.sha256).hexdigest()
        checks = {
            "another server's": where == f"{self.host}:{self.server_address[1]}",
            "no sign-in": given.get("Action") == "connect" and given.get("X-Amz-SignedHeaders") == "host",
            "another user's": given.get("DBUser") == user,
            "an unknown key": key in self.keys,
            "another region's": scope == f"{at[:8]}/{self.region}/rds-db/aws4_request",
            "signed wrongly": hmac.compare_digest(made, right),
            "expired": given.get("X-Amz-Expires") == "900" and -60 < age(at) < 900,
        }
        return next((reason for reason, good in checks.items() if not good), None)


class Door(socketserver.StreamRequestHandler):
    server: Rds
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with suppress(OSError, struct.error):  # the client went: it did not like the certificate, for one
            code, rest = start(self.request)
            if code == GSSAPI:
                self.request.sendall(b"N")
                code, rest = start(self.request)
            if code != TLS:
                self.sign_in(self.request, code, rest)
                return
            self.request.sendall(b"S")
            with self.server.context.wrap_socket(self.request, server_side=True) as client:
                self.sign_in(client, *start(client))

    def sign_in(self, client: socket.socket, code: int, rest: bytes) -> None:
        if code >> 16 != PROTOCOL:
            return  # a request to cancel: nothing here runs for long
        words = rest.rstrip(b"\0").decode().split("\0")
        said = dict(zip(words[::2], words[1::2], strict=True))
        user, database = said["user"], said.get("database", said["user"])
        if not isinstance(client, ssl.SSLSocket):
            where = f'host "{self.client_address[0]}", user "{user}", database "{database}"'
            refuse(client, f"no pg_hba.conf entry for {where}, no encryption")
            return
        client.sendall(b"R" + struct.pack("!II", 8, 3))  # AuthenticationCleartextPassword
        with client.makefile("rb") as stream:
            _, length = struct.unpack("!cI", stream.read(5))
            token = stream.read(length - 4).rstrip(b"\0").decode()
        fault = self.server.fault(token, user)
        print(f"sign-in {user}: {f'refused, {fault}' if fault else 'accepted'}", flush=True)  # noqa: T201
        if fault:
            refuse(client, f'PAM authentication failed for user "{user}"')
            return
        host, _, port = self.server.target
        unix = host.startswith("/")
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as postgresql:
            postgresql.connect(f"{host}/.s.PGSQL.{port}" if unix else (host, int(port)))
            postgresql.sendall(struct.pack("!II", 8 + len(rest), code) + rest)
            copy(client, postgresql)


def start(client: socket.socket) -> tuple[int, bytes]:
    """The first message's code, and what follows it."""
    with client.makefile("rb") as stream:
        length, code = struct.unpack("!II", stream.read(8))
        return code, stream.read(length - 8)


def refuse(client: socket.socket, message: str) -> None:
    """RDS's SQLSTATE is 28000 for both (as in aws/aws-sdk-net#4433 and warp-tech/warpgate#1906)."""
    fields = b"SFATAL\0VFATAL\0C28000\0M" + message.encode() + b"\0\0"
    client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)


def copy(client: ssl.SSLSocket, database: socket.socket) -> None:
    """Both ways, in one thread: an SSLSocket is for one at a time."""
    while True:
        ready = [client] if client.pending() else select.select([client, database], [], [])[0]
        for one in ready:
            if not (data := one.recv(65536)):
                return
            (database if one is client else client).sendall(data)


def age(at: str) -> float:
    try:
        return (datetime.now(UTC) - datetime.strptime(f"{at}+0000", "%Y%m%dT%H%M%SZ%z")).total_seconds()
    except ValueError:
        return float("inf")


@contextmanager
def serving(rds: Rds) -> Iterator[Rds]:
    with rds:
        threading.Thread(target=rds.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield rds
        finally:
            rds.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "certificate", "key", "target", "access-key", "secret-key", "region"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--host", default="localhost", help="the name that tokens are for")
    given = parser.parse_args()
    keys = {given.access_key: given.secret_key}
    served = Rds(given.certificate, given.key, given.target, keys, given.region, port=int(given.port))
    served.host = given.host
    served.serve_forever()
