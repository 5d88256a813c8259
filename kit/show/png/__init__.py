"""PNG pictures without a browser.

In: a figure of the kit, or points with colours and a viewpoint. Out: pixels. Read `splat.py` first.
"""
