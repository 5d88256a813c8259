"""The explorer: keyframes, their images and features as an interactive view.

In: keyframes, features, predictions, scores. Out: a widget for notebooks, a self-contained HTML
page, pictures and clouds. Read `widget.py` first, then `state.py` (what is shown), `payload.py`
(what the browser gets), `modules.py` (how the modules of `js/` become one script) and
`js/explorer.js` (what happens in the browser).
"""
