"""A peer: a bare handler over plain psycopg, with no framework and no checks; the least there can be."""

import json
import os
from typing import Any
from uuid import uuid4

import jwt
import psycopg
from argon2 import PasswordHasher
from psycopg.rows import dict_row

connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row)
hasher = PasswordHasher()
FIELDS = "id, email, name, role, active"


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    method, path = event["requestContext"]["http"]["method"], event["rawPath"]
    if path == "/health":
        return answer(200, {"status": "ok"})
    if method == "POST":
        new = json.loads(event["body"])
        row = connection.execute(
            "INSERT INTO users (id, email, name, role, active, password_hash) "
            f"VALUES (%s, %s, %s, 'user', true, %s) RETURNING {FIELDS}",
            [uuid4(), new["email"], new["name"], hasher.hash(new["password"])],
        ).fetchone()
        return answer(201, row)
    token = event["headers"]["authorization"].removeprefix("Bearer ")
    jwt.decode(token, os.environ["SECRET_KEY"], algorithms=["HS256"], audience="slipway")
    user_id = path.removeprefix("/v1/users").strip("/")
    if user_id:
        one = connection.execute(f"SELECT {FIELDS} FROM users WHERE id = %s", [user_id])
        return answer(200, one.fetchone())
    many = connection.execute(f"SELECT {FIELDS} FROM users ORDER BY id LIMIT 50")
    return answer(200, many.fetchall())


def answer(status: int, content: object) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(content, default=str),
    }
