"""Origins, as browsers send them."""

import re

ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:(?P<port>[1-9][0-9]{0,4}))?"
)


def is_origin(text: str) -> bool:
    """Whether a browser could send it (RFC 6454, section 6.2)."""
    if not (match := ORIGIN.fullmatch(text)):
        return False
    usual = {"http": "80", "https": "443"}
    return match["port"] != usual.get(match["scheme"], "") and int(match["port"] or 0) < 65536
