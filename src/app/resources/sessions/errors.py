"""What can go wrong with signing in."""

from app.foundation.errors import Unauthorized


class BadCredentials(Unauthorized):
    detail = "The email address or the password is wrong, or the user is not active."
