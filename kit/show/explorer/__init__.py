"""The explorer: an interactive view of keyframes, their images and features, in a notebook or a page.

In: keyframes, features, predictions, scores. Out: a widget, a page of its own, pictures and clouds.
Read `widget.py` first, then `state.py` (what is shown), `payload.py` (what the browser gets) and
`js/explorer.js` (how it is drawn).
"""
