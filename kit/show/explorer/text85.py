"""Bytes as text for pages: five letters for four bytes, where base64 takes 5.3.

The letters have no meaning in HTML. `js/text85.js` reads the text.
"""

import string

import numpy as np

ALPHABET = string.digits + string.ascii_letters + "!#$%()*+-;=?@^_`{|}~,.:"
_POWERS = 85 ** np.arange(4, -1, -1, dtype=np.uint64)


def text_of(data: bytes) -> str:
    """Write bytes as text; zero bytes fill the last four, so that readers need the count."""
    words = np.frombuffer(data + bytes(-len(data) % 4), dtype=">u4").astype(np.uint64)
    digits = words[:, None] // _POWERS % 85  # (W, 5)
    letters = np.frombuffer(ALPHABET.encode("ascii"), dtype=np.uint8)
    return letters[digits].tobytes().decode("ascii")
