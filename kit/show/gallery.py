"""A page of cards for saved explorers: a picture, a caption, a link. It needs no network."""

import base64
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from kit import store

HEAD = 2_000_000  # bytes of a saved page, within which its description and its picture lie
_TRAITS = re.compile(r'<script type="application/json" id="kx-traits">(.*?)</script>', re.DOTALL)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_PICTURE = re.compile(r'<img id="kx-poster"[^>]* src="data:image/(\w+);base64,([\w+/=]+)"')
STYLE = """
:root { color-scheme: dark light; --paper: #14171c; --card: #1c2027; --ink: #e6e9ed;
  --muted: #a2acb9; --line: #2a303a; }
@media (prefers-color-scheme: light) { :root { --paper: #ffffff; --card: #f5f6f8; --ink: #1f242b;
  --muted: #5a6370; --line: #dfe3e8; } }
body { margin: 0; padding: 28px clamp(16px, 4vw, 56px); background: var(--paper);
  color: var(--ink); font: 15px/1.5 Inter, "Helvetica Neue", "Segoe UI", Arial, sans-serif; }
h1 { font-size: 24px; font-weight: 650; margin: 0 0 4px; }
p { color: var(--muted); margin: 0; }
main { display: grid; gap: 20px; margin-top: 22px;
  grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); }
a { display: block; color: inherit; text-decoration: none; background: var(--card);
  border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
a:hover, a:focus-visible { border-color: #8ab8ff; outline: none; }
img, .none { display: block; width: 100%; aspect-ratio: 16 / 10; object-fit: cover;
  object-position: top; background: #101319; }
.none { display: grid; place-items: center; color: #a2acb9; }
.text { padding: 12px 16px 15px; }
h2 { font-size: 16px; font-weight: 600; margin: 0 0 2px; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Card:
    """One saved explorer in a gallery.

    Attributes:
        path: of the saved page.
        name: of the copy, without its ending.
        title: of the page.
        caption: what it shows.
        picture: kind and bytes of its picture; None for pages of before.
    """

    path: Path
    name: str
    title: str
    caption: str
    picture: tuple[str, bytes] | None


def write_gallery(
    runs: Sequence[str | PathLike], out: str | PathLike, title: str = "Explorers"
) -> Path:
    """Copy saved explorers into a folder and write a page of cards for them.

    Args:
        runs: saved pages, or folders in which they are looked for, at any depth.
        out: folder of the gallery.
        title: of the page.

    Returns:
        path of the page, index.html.

    Raises:
        FileNotFoundError: one of `runs` does not exist.
        ValueError: there is no saved explorer.
    """
    out = Path(out)
    cards = list(find_cards(runs, out))
    if not cards:
        raise ValueError(
            f"no saved explorer in {', '.join(map(str, runs))}; save one with "
            'explorer.save("street.html")'
        )
    for card in cards:
        store.write_bytes(out / "pages" / f"{card.name}.html", card.path.read_bytes())
        if card.picture:
            kind, data = card.picture
            store.write_bytes(out / "pictures" / f"{card.name}.{kind}", data)
    store.write_text(out / "index.html", gallery_html(cards, title))
    return out / "index.html"


def find_cards(runs: Sequence[str | PathLike], out: Path) -> Iterator[Card]:
    """The saved explorers of files and folders, in the order of their paths; none twice.

    Args:
        runs: as for `write_gallery`.
        out: a folder that is left out.

    Raises:
        FileNotFoundError: one of `runs` does not exist.
    """
    names: set[str] = set()
    seen: set[Path] = set()
    for run in map(Path, runs):
        if not run.exists():
            raise FileNotFoundError(f"{run}: no such file or folder")
        for path in [run] if run.is_file() else sorted(run.rglob("*.html")):
            place = path.resolve()
            if place in seen or out.resolve() in place.parents:
                continue
            seen.add(place)
            card = _card(path, run, names)
            if card is not None:
                names.add(card.name)
                yield card


def _card(path: Path, run: Path, taken: set[str]) -> Card | None:
    """The card of a page; None if it is no saved explorer."""
    with open(path, encoding="utf8", errors="replace") as file:
        head = file.read(HEAD)
    traits = _TRAITS.search(head)
    if traits is None:
        return None
    title, picture = _TITLE.search(head), _PICTURE.search(head)
    inner = path.relative_to(run) if run.is_dir() else Path(path.name)
    words = [run.name] if run.is_dir() else []
    name = re.sub(r"[^\w-]+", "-", "-".join([*words, *inner.with_suffix("").parts])).strip("-")
    numbered = (f"{name}-{i}" if i else name for i in range(len(taken) + 1))
    unique = next(each for each in numbered if each not in taken)
    return Card(
        path=path,
        name=unique,
        title=html.unescape(title[1]) if title else unique,
        caption=caption_of(json.loads(traits[1])),
        picture=(picture[1], base64.b64decode(picture[2])) if picture else None,
    )


def caption_of(traits: dict[str, Any]) -> str:
    """Describe a saved explorer in words: points, keyframes, feature sets and the mode."""
    setup = traits["setup"]
    keyframes, sets = setup["keyframes"], setup["sets"]
    names = dict.fromkeys(each.get("group") or each["name"] for each in sets)
    modes = {mode["name"]: mode["title"] for mode in setup["modes"]}
    parts = [f"{sum(each['count'] for each in keyframes):,} points"]
    if len(keyframes) > 1:
        parts.append(f"{len(keyframes)} keyframes")
    if names:
        parts.append(", ".join(names))
    return " · ".join([*parts, modes.get(traits["mode"], traits["mode"])])


def gallery_html(cards: Sequence[Card], title: str) -> str:
    """The page of cards; names from data are shown as text."""
    shown = "\n".join(map(_card_html, cards))
    count = "one explorer" if len(cards) == 1 else f"{len(cards)} explorers"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n<p>{count}; each opens as a page of its own.</p>\n"
        f"<main>\n{shown}\n</main>\n</body>\n</html>\n"
    )


def _card_html(card: Card) -> str:
    picture = '<div class="none">no picture</div>'
    if card.picture:
        source = html.escape(f"pictures/{card.name}.{card.picture[0]}")
        picture = f'<img src="{source}" alt="" loading="lazy">'
    return (
        f'<a href="{html.escape(f"pages/{card.name}.html")}">{picture}<div class="text">'
        f"<h2>{html.escape(card.title)}</h2><p>{html.escape(card.caption)}</p></div></a>"
    )
