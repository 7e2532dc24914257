"""What can go wrong with signing in and staying signed in."""

from app.foundation.errors import Conflict, Unauthorized


class BadCredentials(Unauthorized):
    detail = "The email address or the password is wrong, or the user is not active."


class RefreshRefused(Unauthorized):
    detail = "This refresh token is not valid, or no longer; sign in again."


class RefreshReused(Unauthorized):
    """A used token that comes back: one of the two who had it stole it (RFC 9700, section 4.14.2)."""

    detail = "This is not the session's current refresh token, so the session has ended; sign in again."
    keeps_work = True


class RefreshedMeanwhile(Conflict):
    detail = "Another request used this refresh token at the same moment; use the token that it got."
