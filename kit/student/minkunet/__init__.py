"""MinkUNet, the sparse-convolution U-Net of earlier distillation methods.

In: a `PointBatch`. Out: a feature for every point, and one in the teacher's feature space. Read
`model.py` first, then `voxels.py`; `spconv.py` avoids those algorithms of the spconv package that
give wrong results on a CPU. `published.py` converts the weights of published checkpoints to the
kit's names.
"""
