"""Let a CPU-only torch import a torchvision that was built for CUDA.

`torchvision` from the package index is compiled for CUDA. Beside a CPU-only torch its compiled
operators cannot load, and its import stops at `operator torchvision::nms does not exist`, although
timm, torchmetrics and lightning never call those operators. Declaring the two missing signatures is
enough. Where the pair matches nothing is declared.
"""

import importlib.abc
import sys

_SIGNATURES = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries = []  # a torch.library.Library un-declares its operators when it is collected


class _DeclareOnFailure(importlib.abc.Loader):
    """Run torchvision's own loader; after the known failure declare the operators and retry."""

    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        try:
            self.loader.exec_module(module)
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise
            _declare_operators()
            for name in [name for name in sys.modules if name.startswith("torchvision.")]:
                del sys.modules[name]
            self.loader.exec_module(module)


class _TorchvisionFinder(importlib.abc.MetaPathFinder):
    """Wrap the loader of `torchvision`; leave every other import alone."""

    def find_spec(self, name, path=None, target=None):
        if name != "torchvision":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _DeclareOnFailure(spec.loader)
                return spec
        return None


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for signature in _SIGNATURES:
        library.define(signature)
    _libraries.append(library)


def install() -> None:
    """Watch for the first import of torchvision; costs nothing until then."""
    if not any(isinstance(finder, _TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TorchvisionFinder())
