"""Bytes as text: read back by hand, and by the module of the page."""

import json
import shutil
import subprocess

import pytest

from kit.show.explorer.modules import FOLDER
from kit.show.explorer.text85 import ALPHABET, text_of

DATA = bytes(range(256)) * 2 + b"\xff\xff\xff\xff" + b"end"


def test_a_word_by_hand():
    # 0x00000100 = 256 = 3 * 85 + 1
    assert text_of(b"\x00\x00\x01\x00") == "00031"
    # 0xffffffff = 82 * 85^4 + 23 * 85^3 + 54 * 85^2 + 12 * 85
    assert text_of(b"\xff\xff\xff\xff") == "".join(ALPHABET[i] for i in (82, 23, 54, 12, 0))
    assert len(text_of(DATA)) == (len(DATA) + 1) // 4 * 5


def test_letters_have_no_meaning_in_a_page():
    assert len(set(ALPHABET)) == 85 and not set(ALPHABET) & set("<>&\"'\\")


def test_the_page_reads_the_same_bytes():
    if shutil.which("node") is None:
        pytest.skip("needs node")
    module = json.dumps((FOLDER / "text85.js").as_uri())
    code = (
        f"import {{ bytesOf }} from {module};"
        f"console.log(JSON.stringify([...bytesOf({json.dumps(text_of(DATA))}, {len(DATA)})]))"
    )
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", code], capture_output=True, text=True, check=True
    )
    assert bytes(json.loads(ran.stdout)) == DATA
