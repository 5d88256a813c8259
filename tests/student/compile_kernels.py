"""Compile every kernel for an H100 on a machine that has none; prints name, spills, matrix units.

Called by `test_kernels.py`. Triton asks a driver only for the card's name to compile, so a driver
that answers is enough; no kernel is run.
"""

import os
import sys
import tempfile
from pathlib import Path
from subprocess import run

os.environ.pop("TRITON_INTERPRET", None)

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from kit.student import scans
from kit.student.point_batch import collate
from kit.student.waffleiron import kernels

CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
launch = JITFunction.run


class OneH100:
    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


def compile_only(self, *arguments, grid, warmup, **options):
    compiled = launch(self, *arguments, grid=grid, warmup=True, **options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(compiled.asm["cubin"])
        usage = run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True).stdout
    spilled = usage.split("LOCAL:")[1].split()[0]
    units = "wgmma" if "wgmma" in compiled.asm["ptx"] else "-"
    print(self.__name__, spilled, units)
    return compiled


def main():
    driver.set_active(OneH100())
    JITFunction.run = compile_only
    inputs = scans.InputConfig(fov=(4.0, 4.0, 2.0), cell_size=1.0, num_neighbours=5)
    points = torch.rand(64, 3)
    scan = scans.Scan(
        torch.randn(64, 5),
        scans.nearest_neighbours(points, 16),
        scans.plane_cells(points, inputs),
        torch.arange(64),
    )
    batch = collate([scan], inputs)
    for width in (64, 768):
        launch_all(batch, width)


def launch_all(batch, width, dtype=torch.bfloat16):
    plane = batch.planes[0]
    halo_size = len(plane.first_of_halo)

    def rows(count):
        return torch.randn(count, width).to(dtype)

    x, cells, halo = rows(64), rows(len(plane.first_of_cell)), rows(halo_size)
    vector, offsets, statistics = torch.randn(width), torch.randn(9, width), torch.randn(2, 64)
    of_cell = torch.randn(len(cells))
    kernels.norm_mean(x, plane, vector, vector, 1e-5, dtype)
    kernels.cell_sum(x, plane, of_cell, dtype)
    for gelu in (False, True):
        kernels.gather_conv(
            cells, offsets, plane.occupied_near_halo, vector, activate=True, gelu=gelu
        )
        kernels.gather_conv_backward(
            cells, offsets, halo, plane.occupied_near_halo, activated=True, gelu=gelu
        )
        kernels.rows_and_sum(x, dtype=dtype, before=x, gelu=gelu, factor=statistics[0])
    kernels.gather_conv(halo, offsets, plane.halo_near_occupied, vector, factor=of_cell)
    kernels.gather_conv_backward(
        halo, offsets, cells, plane.halo_near_occupied, activated=False, gelu=False
    )
    kernels.add_norm(x, cells, plane, vector, vector, 1e-5)
    kernels.add_both(x, cells, plane, x, statistics[0])
    kernels.norm_backward(x, cells, plane, tuple(statistics), vector, x, x)
    kernels.norm_backward(x, None, plane, tuple(statistics), vector, cells, x)
    first, second = torch.randn(width, 6).to(dtype), rows(width)
    arguments = batch.feat, batch.neighbours, first, second
    _, argmax = kernels.embedding_max(*arguments, True)
    kernels.embedding_max_backward(*arguments, argmax, x)


if __name__ == "__main__":
    sys.exit(main())
