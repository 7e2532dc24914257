"""The rooms. To add one: a folder, an entry here, a revision, a folder of tests."""

from fastapi import APIRouter

from app.resources.mail.router import router as mail
from app.resources.sessions.router import router as sessions
from app.resources.system.router import router as system
from app.resources.users.router import router as users

RESOURCES: list[APIRouter] = [system, sessions, users, mail]
