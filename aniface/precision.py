"""Whether to compute in bfloat16: on CPUs made for it the painter is half as fast again, elsewhere it would be many times slower."""

from __future__ import annotations

import torch

# Asked of the CPU, not measured: a machine that is busy for a moment must not make two processes paint in two precisions.
INSTRUCTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def bf16_pays(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices itself: CPUs with AVX512_BF16 or AMX."""
    if device.type != "cpu":
        return False
    # Private names of torch.cpu: where a version lacks them, fp32 is right everywhere.
    return any(getattr(torch.cpu, name, lambda: False)() for name in INSTRUCTIONS)
