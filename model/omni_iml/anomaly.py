"""Anomaly Enhancement: box detection on the decoder's pyramid, in training only.

A region proposal network and a box head on RoIAlign features have to find the boxes of the manipulated regions; their
gradients make the pyramid answer to anomalous objects as wholes. Nothing of it is exported.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.layers import ConvNorm, SeparableConv

# Anchor sides in strides of their level.
ANCHORS = (4.0, 8.0, 16.0)
STRIDES = (8, 16)
ROI = 5
ROIS = 12


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes [n, 4] and [m, 4] as x0, y0, x1, y1: [n, m]."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(1) for x in (a, b))
    return shared / (area_a[:, None] + area_b - shared).clamp(min=1e-6)


def offsets(boxes: Tensor, base: Tensor) -> Tensor:
    """Boxes [n, 4] relative to base boxes [n, 4], as Faster R-CNN encodes them: dx, dy, dw, dh."""
    size, base_size = boxes[:, 2:] - boxes[:, :2], base[:, 2:] - base[:, :2]
    centre, base_centre = (boxes[:, :2] + boxes[:, 2:]) / 2, (base[:, :2] + base[:, 2:]) / 2
    return torch.cat([(centre - base_centre) / base_size, (size.clamp(min=1) / base_size).log()], 1)


def roi_align(features: Tensor, boxes: Tensor, sample: Tensor, stride: int) -> Tensor:
    """Bilinear samples on a grid: features [N, C, h, w], boxes [n, 4] in pixels, sample [n]; [n, C, ROI, ROI]."""
    h, w = features.shape[-2:]
    step = (torch.arange(ROI, device=boxes.device, dtype=boxes.dtype) + 0.5) / ROI
    x = boxes[:, 0:1] + (boxes[:, 2:3] - boxes[:, 0:1]) * step
    y = boxes[:, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2]) * step
    grid = torch.stack(
        [
            (2 * x / (w * stride) - 1)[:, None, :].expand(-1, ROI, -1),
            (2 * y / (h * stride) - 1)[:, :, None].expand(-1, -1, ROI),
        ],
        3,
    )
    return functional.grid_sample(features[sample], grid, align_corners=False)


class AnomalyEnhancement(nn.Module):
    """Losses of proposal network and box head on pyramid levels of strides 8 and 16."""

    def __init__(self, width: int):
        super().__init__()
        self.shared = SeparableConv(width, width)
        self.objectness = nn.Conv2d(width, len(ANCHORS), 1)
        self.deltas = nn.Conv2d(width, 4 * len(ANCHORS), 1)
        self.box = nn.Sequential(
            ConvNorm(width, 32, 1), nn.Flatten(), nn.Linear(32 * ROI * ROI, 128), nn.ReLU(), nn.Linear(128, 5)
        )

    def anchors(self, level: Tensor, stride: int) -> Tensor:
        """Square anchors of one level, [h·w·A, 4], in the order of the flattened predictions."""
        h, w = level.shape[-2:]
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        centre = (torch.stack([x, y], 2).reshape(-1, 1, 2).float() + 0.5) * stride
        half = torch.tensor(ANCHORS).reshape(1, -1, 1) * stride / 2
        return torch.cat([centre - half, centre + half], 2).reshape(-1, 4).to(level.device)

    def forward(self, pyramid: list[Tensor], boxes: list[Tensor]) -> Tensor:
        """Pyramid levels and per sample the true boxes [k, 4] in pixels (k may be 0); one scalar loss."""
        losses = [self.proposals(level, stride, boxes) for level, stride in zip(pyramid, STRIDES, strict=False)]
        rois, sample, label, delta = self.regions(pyramid[0], boxes)
        predicted = self.box(roi_align(pyramid[0], rois, sample, STRIDES[0]))
        losses.append(functional.binary_cross_entropy_with_logits(predicted[:, 0], label))
        losses.append((functional.smooth_l1_loss(predicted[:, 1:], delta, reduction="none").sum(1) * label).mean())
        return torch.stack(losses).sum()

    def proposals(self, level: Tensor, stride: int, boxes: list[Tensor]) -> Tensor:
        """Objectness and box loss of the proposal network on one level."""
        x = self.shared(level)
        n = x.shape[0]
        score = self.objectness(x).permute(0, 2, 3, 1).reshape(n, -1)
        delta = self.deltas(x).permute(0, 2, 3, 1).reshape(n, -1, 4)
        anchors = self.anchors(level, stride)
        parts = []
        for i, true in enumerate(boxes):
            if len(true) == 0:
                parts.append(functional.softplus(score[i].topk(32).values).mean())
                continue
            iou = box_iou(anchors, true)
            best, which = iou.max(1)
            # Every true box keeps its best anchor, however badly shaped for it.
            positive = (best > 0.5) | (iou == iou.max(0).values).any(1)
            negative = (best < 0.3) & ~positive
            hard = score[i][negative].topk(min(32, int(negative.sum()))).values
            found = functional.softplus(-score[i][positive]).mean()
            fit = functional.smooth_l1_loss(delta[i][positive], offsets(true[which[positive]], anchors[positive]))
            parts.append(found + functional.softplus(hard).mean() + fit)
        return torch.stack(parts).mean()

    def regions(self, level: Tensor, boxes: list[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes for the box head, true ones jittered and random ones: (rois, sample index, label, offsets)."""
        h, w = (side * STRIDES[0] for side in level.shape[-2:])
        extent = torch.tensor([w, h, w, h], device=level.device).float()
        rois, sample, label, delta = [], [], [], []
        for i, true in enumerate(boxes):
            corner = torch.rand(ROIS, 2, device=level.device) * extent[:2] * 0.75
            random = torch.cat([corner, corner + 16 + torch.rand_like(corner) * (extent[:2] - corner - 16)], 1)
            if len(true):
                chosen = true[torch.randint(len(true), (ROIS,), device=level.device)]
                size = (chosen[:, 2:] - chosen[:, :2]).repeat(1, 2)
                jittered = chosen + (torch.rand_like(chosen) - 0.5) * 0.4 * size
                candidates = torch.cat([jittered, random])
                iou, which = box_iou(candidates, true).max(1)
                keep = (iou > 0.5) | (iou < 0.3)
                label.append((iou > 0.5).float()[keep])
                delta.append(offsets(true[which], candidates)[keep])
                candidates = candidates[keep]
            else:
                candidates = random
                label.append(torch.zeros(ROIS, device=level.device))
                delta.append(torch.zeros(ROIS, 4, device=level.device))
            rois.append(candidates)
            sample.append(torch.full((len(candidates),), i, device=level.device))
        return torch.cat(rois), torch.cat(sample), torch.cat(label), torch.cat(delta)
