"""Passwords at rest: argon2id."""

import os
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

# RFC 9106, section 4, second recommended option (the memory-constrained one): 64 MiB, 3 passes, 4 lanes
_hasher = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)

# a hash takes 64 MiB: no more of them at once than cores to work on them
_turn = BoundedSemaphore(os.cpu_count() or 1)

# of no one's password: checking against it takes an unknown address as long as a known one
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$3NlKSIo5k6733hCJYwUfNw$/Tqj6lSEFfSKPhzo3OBa32hVYgT+Nabnc30B7kstzTg"


def hash_password(password: str) -> str:
    with _turn:
        return _hasher.hash(password)


def password_matches(password: str, hashed: str | None) -> bool:
    """False for no hash, after the same time."""
    try:
        with _turn:
            return _hasher.verify(hashed or NOBODY, password) and hashed is not None
    except VerificationError:
        return False
