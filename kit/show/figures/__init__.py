"""Figures: clouds, images, classes and charts as plotly figures.

In: arrays, keyframes, features. Out: a figure to turn and to zoom. Read `clouds.py` first.
"""
