"""Open-vocabulary queries: points found by a click, an image, the name of a thing, or text.

In: features of a keyframe, and examples of what is asked for. Out: a score for every point, above 0
where it resembles the examples; or a label from several queries. Read `queries.py` first, then
`segmentation.py` and `prompts/` (where examples come from).
"""
