"""Batch norm over the batch of all processes, on CPUs (gloo) as on GPUs; torch's own SyncBatchNorm runs on GPUs alone."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose statistics, in training, are those of all processes' samples together; every process has equally many."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        processes = torch.distributed.get_world_size()
        mean = all_reduce(x.float().mean((0, 2, 3))) / processes
        centred = x.float() - mean[:, None, None]
        variance = all_reduce(centred.square().mean((0, 2, 3))) / processes
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        with torch.no_grad():
            count = processes * x.numel() // x.shape[1]
            self.num_batches_tracked += 1
            share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / (count - 1), share)
        y = centred * (variance + self.eps).rsqrt()[:, None, None]
        if self.affine:
            y = y * self.weight[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)


def synchronise_batch_norm(network: nn.Module) -> nn.Module:
    """Replace every `BatchNorm2d` inside, parameters and statistics kept."""
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            synced = SyncedBatchNorm2d(child.num_features, child.eps, child.momentum, child.affine)
            if child.affine:
                synced.weight, synced.bias = child.weight, child.bias  # the same objects, which an optimiser may hold
            for buffer, value in child.named_buffers():
                setattr(synced, buffer, value)
            setattr(network, name, synced.train(child.training))
        else:
            synchronise_batch_norm(child)
    return network
