"""`make demo`: fourteen calls against any base URL, by whichever door."""

import os
import secrets
from typing import Any

import httpx2

from ops import environment
from ops.environment import ADMINISTRATOR
from ops.terminal import fail, say


def run() -> None:
    environment.read_file()
    base = os.environ.get("URL", f"http://localhost:{os.environ.get('PORT', '8000')}")
    email, password = os.environ.get("EMAIL", ADMINISTRATOR), os.environ.get("PASSWORD")
    if not password:
        fail("whose password? make demo URL=http://localhost:8000 EMAIL=admin@example.com PASSWORD=..")
    try:
        with httpx2.Client(base_url=base, timeout=30) as client:
            demo = Demo(client)
            demo.anybody()
            demo.administrator(email, password)
    except httpx2.HTTPError as error:
        fail(f"{base} does not answer: {error}")


class Demo:
    """Counts the calls, and stops at the first answer that is not the expected one."""

    def __init__(self, client: httpx2.Client, count: int = 0) -> None:
        self.client = client
        self.count = count
        self.user = ""

    def call(self, expected: int, method: str, path: str, what: str, **options: Any) -> httpx2.Response:
        self.count += 1
        answer = self.client.request(method, path, **options)
        mark = "ok" if answer.status_code == expected else "NOT"
        shown = path.partition("?")[0].replace(self.user or "?", "{id}")
        say(f"{self.count:2}  {mark:3} {answer.status_code}  {method:7} {shown:20} {what}")
        if answer.status_code != expected:
            fail(f"expected {expected}, and the answer was: {answer.text[:500]}")
        return answer

    def anybody(self) -> None:
        """Four calls."""
        self.call(200, "GET", "/health", "the process lives")
        self.call(200, "GET", "/ready", "the database answers, with the expected schema")
        self.call(200, "GET", "/version", "what is deployed")
        self.call(401, "GET", "/v1/users", "not signed in: a problem")

    def administrator(self, email: str, password: str) -> None:
        """Ten calls; they leave nothing behind."""
        address = f"demo-{secrets.token_hex(6)}@example.com"
        new = {"email": address, "name": "Demo", "password": secrets.token_hex(16)}
        call = self.call
        form = {"username": email, "password": password}
        token = call(200, "POST", "/v1/auth/token", "sign in", data=form).json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {token}"
        call(200, "GET", "/v1/users/me", "the caller")
        user = call(201, "POST", "/v1/users", "create a user", json=new)
        self.user = user.json()["id"]
        again = new | {"email": address.upper()}
        call(409, "POST", "/v1/users", "the same address in capitals: a problem", json=again)
        call(200, "GET", user.headers["Location"], "read it where Location says")
        call(200, "GET", "/v1/users?limit=1", "a page of users")
        call(200, "PATCH", f"/v1/users/{self.user}", "rename it", json={"name": "Renamed"})
        call(200, "POST", "/v1/mail/test", "send a test mail", json={"recipient": email})
        call(204, "DELETE", f"/v1/users/{self.user}", "delete it")
        call(404, "GET", f"/v1/users/{self.user}", "gone: a problem")
