"""Losses of training: mask, coarse masks, gate, image score, domain."""

import torch
from torch import Tensor
from torch.nn import functional

from omni_iml.model import Output

# The fused features hold what the others do, and more: RGB must beat them by this much of the coarse loss to be passed.
RGB_ADVANTAGE = 0.05
# So near that border neither choice is the better one, and the gate learns nothing.
GATE_MARGIN = 0.01


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Per-sample loss [N] of logits [N, 1, h, w] against soft masks [N, 1, h, w] in 0…1.

    Binary cross-entropy, plus a Dice loss for samples that have manipulated pixels: the figure is F1 at a fixed
    threshold, and cross-entropy alone leaves small regions under it.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, mask, reduction="none").mean((1, 2, 3))
    probability = logits.sigmoid()
    overlap = (probability * mask).sum((1, 2, 3))
    total = (probability * probability).sum((1, 2, 3)) + (mask * mask).sum((1, 2, 3))
    present = (mask.sum((1, 2, 3)) > 0).float()
    return entropy + present * (1 - (2 * overlap + 1) / (total + 1))


def coarse_losses(coarse_rgb: Tensor, coarse_fused: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Per-sample losses [N] of the two coarse masks: logits [N, 1, H/8, W/8], masks bool [N, H, W]."""
    target = functional.avg_pool2d(mask[:, None].float(), 8)
    return mask_loss(coarse_rgb, target), mask_loss(coarse_fused, target)


def worth_fusing(rgb: Tensor, fused: Tensor) -> Tensor:
    """Which samples the fused features should pass for, bool [N], by the coarse masks' losses [N]."""
    return fused.detach() < rgb.detach() + RGB_ADVANTAGE


def head_losses(rgb: Tensor, fused: Tensor, gate: Tensor) -> dict[str, Tensor]:
    """Losses of the perception heads and the gate: the coarse masks' losses [N] and the gate's logit [N]."""
    better = worth_fusing(rgb, fused).float()
    decided = ((fused - rgb - RGB_ADVANTAGE).abs() > GATE_MARGIN).float().detach()
    choice = functional.binary_cross_entropy_with_logits(gate, better, reduction="none")
    return {
        "coarse_rgb": rgb.mean(),
        "coarse_fused": fused.mean(),
        "gate": (choice * decided).sum() / decided.sum().clamp(min=1),
    }


def final_losses(out: Output, mask: Tensor, domain: Tensor) -> dict[str, Tensor]:
    """Losses of decoder and image heads: masks bool [N, H, W], domain [N]."""
    stride = mask.shape[-1] // out.mask.shape[-1]
    return {
        "mask": mask_loss(out.mask.float(), functional.avg_pool2d(mask[:, None].float(), stride)).mean(),
        "score": functional.binary_cross_entropy_with_logits(out.score.float(), mask.flatten(1).any(1).float()),
        "domain": functional.cross_entropy(out.domain.float(), domain),
    }


WEIGHTS = {
    "mask": 1.0,
    "coarse_rgb": 0.3,
    "coarse_fused": 0.3,
    "gate": 0.1,
    "score": 0.5,
    "domain": 0.05,
    "anomaly": 0.2,
}


def total(parts: dict[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * value for name, value in parts.items()]).sum()
