"""What can go wrong with users."""

from app.foundation.errors import Conflict, Forbidden, NotFound


class EmailTaken(Conflict):
    detail = "A user with this email address exists already."


class LastAdministrator(Conflict):
    detail = "This is the last active administrator: make another user one first."


class SignUpClosed(Forbidden):
    detail = "Sign-up is closed; an administrator can create users."


class UserNotFound(NotFound):
    detail = "No user has this id."


class WrongPassword(Forbidden):
    detail = "current_password is not the current password."
