"""The state of an explorer as a text for links: JSON in base64 without signs links do not allow."""

import base64
import binascii
import json
from typing import Any

PREFIX = "#kx="


def link_of(state: dict[str, Any]) -> str:
    """Write a state as text; `js/links.js` reads and writes the same."""
    data = json.dumps(state, separators=(",", ":"), allow_nan=False).encode()
    return PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")


def state_of(link: str) -> dict[str, Any]:
    """Read the state of a link, or of the address of a saved page that ends with it.

    Raises:
        ValueError: not a link of an explorer.
    """
    start = link.rfind(PREFIX)
    text = link[start + len(PREFIX) :]
    try:
        state = (
            json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if start >= 0
            else None
        )
    except (binascii.Error, ValueError):
        state = None
    if not isinstance(state, dict):
        raise ValueError(f"not a link of an explorer: {link[:60]!r}; it has {PREFIX} and a text")
    return state
