"""The interpretation network: fixed evidence of a region, and a small trained head on it.

`Evidence` measures: features of an ImageNet encoder inside the region and around it, and of the reference prompt
I_ref = (I + M) / 2; what forensic filters leave of noise, compression and the border; where else in the image the
region is found. Nothing in it is trained here, so it is computed once per region and `Head`
learns from the cached numbers. It shares no weights with the localization network.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from forge.histories import scaled_tables
from interpretation.views import SIDE
from interpretation.vocabulary import KINDS, TITLES
from omni_iml.encoder import SRM, EfficientNetLite2

STAGES = (4, 7, 11)  # index after the last block at strides 4, 8, 16
WHOLE, CLOSE_UP, DETAIL = range(3)
GRID = 12  # cells of the region's outline that the head sees, per side
PATCH, QUERIES = 7, 16  # side of the patches that are sought elsewhere, in pixels of the halved whole view; how many
QUALITIES = (45, 55, 63, 70, 76, 82, 88, 93)  # at which JPEG ghosts are looked for
LAGS = (1, 2, 4)  # px: learned decoders upsample by 2 and 4 and leave their period


def dilated(mask: Tensor, by: int) -> Tensor:
    """[N, 1, H, W] grown by `by` pixels (a square, one direction after the other: many times cheaper)."""
    mask = functional.max_pool2d(mask, (1, 2 * by + 1), 1, (0, by))
    return functional.max_pool2d(mask, (2 * by + 1, 1), 1, (by, 0))


def eroded(mask: Tensor, by: int) -> Tensor:
    """[N, 1, H, W] shrunk by `by` pixels; the image's border does not shrink it."""
    return 1 - dilated(1 - mask, by)


def mean_in(x: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the picture: [N, C, H, W], [N, 1, H, W] to [N, C]; 0 where the weight is."""
    return (x * weight).sum((2, 3)) / (weight.sum((2, 3)) + 1e-3)


def mean_and_spread(x: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean and standard deviation: [N, 2C]."""
    mean = mean_in(x, weight)
    variance = mean_in(x * x, weight) - mean * mean
    return torch.cat([mean, variance.clamp(min=0).add(1e-6).sqrt()], 1)


def dct_basis() -> Tensor:
    """The 64 orthonormal 8×8 DCT-II kernels, [64, 1, 8, 8]."""
    n = torch.arange(8, dtype=torch.float64)
    rows = torch.cos(torch.pi * (2 * n[None] + 1) * n[:, None] / 16) * 0.5
    rows[0] *= 0.5**0.5
    return torch.einsum("ux,vy->uvxy", rows, rows).reshape(64, 1, 8, 8).float()


class Evidence(nn.Module):
    """views uint8 [N,3,S,S,3], masks uint8 [N,3,S,S], facts float [N,11] to numbers float [N, D]."""

    def __init__(self, pretrained: bool = True):
        super().__init__()
        self.encoder = EfficientNetLite2()
        if pretrained:
            self.encoder.load_pretrained()
        self.encoder._blocks = self.encoder._blocks[: STAGES[-1]]
        self.register_buffer("srm", torch.stack([torch.tensor(kernel)[None] / scale for kernel, scale in SRM]))
        self.register_buffer("dct", dct_basis())
        qualities = torch.tensor([scaled_tables(quality)[0] for quality in QUALITIES], dtype=torch.float32)
        self.register_buffer("tables", qualities.reshape(1, len(QUALITIES), 64, 1, 1))
        self.register_buffer("neighbours", torch.eye(PATCH**2).reshape(PATCH**2, 1, PATCH, PATCH))
        places = torch.Generator().manual_seed(0)
        self.register_buffer("lottery", torch.rand(1, 1, SIDE // 2, SIDE // 2, generator=places))
        self.register_buffer("luma", torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1))
        ycc = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])
        self.register_buffer("ycc", ycc.reshape(3, 3, 1, 1))
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "Evidence":
        """Never: the norms keep their pretrained statistics."""
        return super().train(False)

    def forward(self, views: Tensor, masks: Tensor, facts: Tensor) -> Tensor:
        """See the class."""
        images = views.permute(0, 1, 4, 2, 3).float()
        regions = (masks.float() / 255).unsqueeze(2)
        whole, close, detail = images[:, WHOLE], images[:, CLOSE_UP], images[:, DETAIL]
        whole_mask, close_mask, detail_mask = regions[:, WHOLE], regions[:, CLOSE_UP], regions[:, DETAIL]
        parts = [
            self.picture(functional.avg_pool2d(close, 2), functional.avg_pool2d(close_mask, 2)),
            self.copies(whole, whole_mask),
            self.reference(whole, whole_mask),
            self.traces(detail, detail_mask, compression=True),
            self.traces(functional.avg_pool2d(close, 2), functional.avg_pool2d(close_mask, 2), compression=False),
            self.outline(close_mask, facts),
        ]
        return torch.cat(parts, 1)

    def picture(self, close: Tensor, mask: Tensor) -> Tensor:
        """Encoder features of the halved close-up, inside the region and against its surroundings."""
        quarter = self.encoder.blocks(self.encoder.stem((close - 127) / 128), 0, STAGES[0])
        eighth = self.encoder.blocks(quarter, STAGES[0], STAGES[1])
        sixteenth = self.encoder.blocks(eighth, STAGES[1], STAGES[2])
        around = dilated(mask, 10) * (1 - dilated(mask, 1))
        parts = []
        for features, stride in ((quarter, 4), (eighth, 8)):
            inside, outside = functional.avg_pool2d(mask, stride), functional.avg_pool2d(around, stride)
            own, other = mean_and_spread(features, inside), mean_and_spread(features, outside)
            parts += [own, own - other]
        inside = functional.avg_pool2d(mask, 16)
        own = mean_in(sixteenth, inside)
        return torch.cat([*parts, own, own - mean_in(sixteenth, 1 - inside)], 1)

    def copies(self, whole: Tensor, mask: Tensor) -> Tensor:
        """Patches of the region, sought elsewhere in the image as they are and mirrored: [N, 16].

        How well QUERIES patches are found (normalized correlation), and how many of the finds agree on one shift: a
        copy's all do, chance finds don't.
        """
        half = SIDE // 2
        grey = functional.avg_pool2d((whole * self.luma).sum(1, keepdim=True), 2)
        region = functional.avg_pool2d(mask, 2)
        patches = functional.conv2d(functional.pad(grey, [PATCH // 2] * 4, mode="replicate"), self.neighbours)
        patches = patches - patches.mean(1, keepdim=True)
        power = patches.square().sum(1, keepdim=True)
        patches = (patches / (power + PATCH**2 * 4).sqrt()).flatten(2)
        inner = eroded((region > 0.5).float(), 1) + 0.5 * region
        # Patches with something on them, at places spread by a fixed random map.
        worth = (inner * (1 + self.lottery) * (power / (power + PATCH**2 * 30))).flatten(1)
        chosen = worth.topk(QUERIES, 1)
        weight = (chosen.values > 0.3).float()
        index = chosen.indices.unsqueeze(1).expand(-1, PATCH**2, -1)
        queries = patches.gather(2, index).transpose(1, 2)
        free = (1 - dilated(region, 3)).flatten(2) > 0.99
        own_y, own_x = chosen.indices.div(half, rounding_mode="floor").float(), (chosen.indices % half).float()
        parts = [weight.mean(1, keepdim=True)]
        for mirrored in (False, True):
            sought = queries
            if mirrored:
                sought = queries.unflatten(2, (PATCH, PATCH)).flip(3).flatten(2)
            alike = (sought @ patches) * free - 2 * (~free).float()
            best, where = alike.max(2)
            best = best.clamp(min=0) * weight
            y, x = where.div(half, rounding_mode="floor").float(), (where % half).float()
            shift_y, shift_x = y - own_y, (x + own_x) if mirrored else (x - own_x)
            near = ((shift_y[:, :, None] - shift_y[:, None]).abs() + (shift_x[:, :, None] - shift_x[:, None]).abs()) < 3
            agreeing = (near * weight[:, None] * (best > 0.6)[:, None].float()).sum(2) * weight
            tops = best.topk(4, 1).values[:, 1::2]
            found = [(best > level).float().mean(1) for level in (0.7, 0.85, 0.93)]
            count = weight.sum(1).clamp(min=1)
            parts += [torch.stack([best.sum(1) / count, agreeing.amax(1) / count, *found], 1), tops]
        return torch.cat([*parts, parts[1][:, 1:2] * parts[1][:, :1]], 1)

    def reference(self, whole: Tensor, mask: Tensor) -> Tensor:
        """The reference visual prompt through the encoder, at half the size: what the region is, and in what scene."""
        prompt = functional.avg_pool2d((whole + 255 * mask) / 2, 2)
        features = self.encoder.blocks(self.encoder.stem((prompt - 127) / 128), 0, STAGES[-1])
        return torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)

    def traces(self, image: Tensor, mask: Tensor, compression: bool) -> Tensor:
        """Colour, noise, sharpness, border; with `compression` also DCT statistics, block lattice, periods."""
        # Outlines at half the size, four times cheaper.
        half = functional.avg_pool2d(mask, 2)
        inner, near = eroded(half, 1), dilated(half, 1)
        deep, far = eroded(inner, 2), dilated(near, 2)
        wide = dilated(far, 3)
        areas = [inner + 0.05 * half, wide * (1 - near), near - inner, inner - deep, far - near]
        core, ring, rim, within, without = (functional.interpolate(area, scale_factor=2.0) for area in areas)
        grey = (image * self.luma).sum(1, keepdim=True)
        residual = functional.conv2d(functional.pad(grey, (2, 2, 2, 2), mode="replicate"), self.srm)
        soft = self.blurred(grey, 1)
        softer = self.blurred(soft, 2)
        right = functional.pad(grey[..., 1:] - grey[..., :-1], (0, 1, 0, 0))
        below = functional.pad(grey[..., 1:, :] - grey[..., :-1, :], (0, 0, 0, 1))
        steep = right.abs() + below.abs()
        size = torch.cat(
            [
                residual.abs().clamp(max=12),
                residual[:, 1:2].abs().clamp(max=2),
                (grey - soft).abs(),
                (soft - softer).abs(),
                steep,
            ],
            1,
        )
        inside, outside = (mean_in(size, area).add(0.05).log() for area in (core, ring))
        colours = functional.conv2d(image, self.ycc)
        own, other = (mean_and_spread(colours, area) / 32 for area in (core, ring))
        # The border: how steep the picture is on it, and on bands to either side.
        on, before, beyond = (mean_in(steep, band).add(0.3).log() for band in (rim, within, without))
        parts = [inside, inside - outside, own, own - other, on, on - before, on - beyond, before - beyond]
        if compression:
            parts += [self.blocks(grey, core, ring), self.ghosts(grey, core, ring), self.lattice(grey, core, ring)]
            parts.append(self.periods(residual, core, ring))
        return torch.cat(parts, 1)

    @staticmethod
    def blurred(x: Tensor, by: int) -> Tensor:
        """A box blur of 2·by+1 pixels, borders replicated."""
        return functional.avg_pool2d(functional.pad(x, (by, by, by, by), mode="replicate"), 2 * by + 1, 1)

    def blocks(self, grey: Tensor, core: Tensor, ring: Tensor) -> Tensor:
        """Size and emptiness of the 64 DCT coefficients inside, and against the surroundings: [N, 256]."""
        coefficients = functional.conv2d(grey - 128, self.dct, stride=8).abs()
        values = torch.cat([coefficients.clamp(max=60), 8 * (coefficients < 1.0).float()], 1)
        inside, outside = (mean_in(values, functional.avg_pool2d(area, 8)).add(0.1).log() for area in (core, ring))
        return torch.cat([inside, inside - outside], 1)

    def ghosts(self, grey: Tensor, core: Tensor, ring: Tensor) -> Tensor:
        """How far DCT coefficients lie from the multiples of the tables of QUALITIES: [N, 16].

        What was once saved at a quality lies close to its multiples (Farid 2009, JPEG ghosts), inside and around.
        """
        coefficients = functional.conv2d(grey - 128, self.dct, stride=8).unsqueeze(1)
        off = coefficients - self.tables * (coefficients / self.tables).round()
        off = (off / self.tables).square() * (coefficients.abs() > 0.7 * self.tables)
        energy = off[:, :, :36].sum(2)
        inside, outside = (mean_in(energy, functional.avg_pool2d(area, 8)).add(0.02).log() for area in (core, ring))
        return torch.cat([inside, inside - outside], 1)

    def lattice(self, grey: Tensor, core: Tensor, ring: Tensor) -> Tensor:
        """Second differences across each of the eight columns and rows of a block, over their mean: [N, 32]."""
        parts = []
        for across, turned in ((grey, False), (grey.transpose(2, 3), True)):
            step = (2 * across[..., 1:-1] - across[..., :-2] - across[..., 2:]).abs().clamp(max=20)
            step = functional.pad(step, (1, 1, 0, 0))
            for area in (core, ring):
                weight = area.transpose(2, 3) if turned else area
                count = grey.shape[0]
                total = (step * weight).reshape(count, SIDE, SIDE // 8, 8).sum((1, 2))
                often = weight.reshape(count, SIDE, SIDE // 8, 8).sum((1, 2))
                phase = total / (often + 1e-3)
                parts.append(phase / (phase.mean(1, keepdim=True) + 0.1))
        return torch.cat(parts, 1)

    def periods(self, residual: Tensor, core: Tensor, ring: Tensor) -> Tensor:
        """Autocorrelation of the noise residual at the lags of upsampling, inside and around: [N, 12]."""
        noise = residual[:, 1:2].clamp(-6, 6)
        parts = []
        for area in (core, ring):
            power = mean_in(noise * noise, area) + 0.05
            for lag in LAGS:
                across = functional.pad(noise[..., lag:] * noise[..., :-lag], (0, lag, 0, 0))
                down = functional.pad(noise[..., lag:, :] * noise[..., :-lag, :], (0, 0, 0, lag))
                parts += [mean_in(across, area) / power, mean_in(down, area) / power]
        return torch.cat(parts, 1)

    def outline(self, mask: Tensor, facts: Tensor) -> Tensor:
        """The region's shape in its close-up, and the facts on scales that a head can use."""
        shape = functional.avg_pool2d(mask, SIDE // GRID).flatten(1)
        area = mask.mean((1, 2, 3)).clamp(min=1e-4)
        small = functional.avg_pool2d(mask, 2)
        border = (dilated(small, 1) - eroded(small, 1)).mean((1, 2, 3))
        area_fraction, box_width, box_height = (facts[:, i].clamp(min=1e-5) for i in range(3))
        width, height = facts[:, 4].clamp(min=1), facts[:, 5].clamp(min=1)
        numbers = [
            border / area.sqrt(),
            area_fraction.log(),
            box_width.log(),
            box_height.log(),
            (area_fraction / (box_width * box_height)).clamp(max=1),
            (box_width * width / (box_height * height)).log(),
            (box_width * width).log(),
            (box_height * height).log(),
            (width * height).log(),
            facts[:, 3],
            facts[:, 6],
        ]
        return torch.cat([shape, torch.stack(numbers, 1), 2 * facts[:, 7:11]], 1)


class Head(nn.Module):
    """Evidence float [N, D] to logits: kinds [N, K], titles [N, T], confirmed [N]."""

    def __init__(self, width_in: int, width: int = 160, dropout: float = 0.4):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width_in))
        self.register_buffer("scale", torch.ones(width_in))
        self.layers = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(2 * width_in, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.kind = nn.Linear(width, len(KINDS))
        self.artifacts = nn.Linear(width, len(TITLES))
        self.confirmed = nn.Linear(width, 1)

    def fit_scale(self, evidence: Tensor) -> None:
        """Standardizes by these numbers."""
        self.mean.copy_(evidence.mean(0))
        self.scale.copy_(1 / (evidence.std(0) + 1e-3))

    def forward(self, evidence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        # Most traces are differences of either sign: the head is given their size, too.
        signed, size = (evidence - self.mean) * self.scale, (evidence * self.scale).abs()
        x = self.layers(torch.cat([signed, size], 1).clamp(-6, 6))
        return self.kind(x), self.artifacts(x), self.confirmed(x).squeeze(1)


class Calibration(nn.Module):
    """Temperature for kinds, a logistic for each title and for `confirmed`: logits to probabilities."""

    def __init__(self):
        super().__init__()
        self.kind_scale = nn.Parameter(torch.ones(1))
        self.artifact_scale, self.artifact_shift = (nn.Parameter(torch.full((len(TITLES),), v)) for v in (1.0, 0.0))
        self.confirmed_scale, self.confirmed_shift = (nn.Parameter(torch.full((1,), v)) for v in (1.0, 0.0))

    def forward(self, kind: Tensor, artifacts: Tensor, confirmed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits to probabilities, shapes kept."""
        return (
            (kind * self.kind_scale).softmax(1),
            (artifacts * self.artifact_scale + self.artifact_shift).sigmoid(),
            (confirmed * self.confirmed_scale + self.confirmed_shift).sigmoid(),
        )


class Interpreter(nn.Module):
    """What is released: views, masks, facts to calibrated probabilities; several heads are averaged as logits."""

    def __init__(self, evidence: Evidence, heads: list[Head], calibration: Calibration):
        super().__init__()
        self.evidence = evidence
        self.heads = nn.ModuleList(heads)
        self.calibration = calibration

    def forward(self, views: Tensor, masks: Tensor, facts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """kind [N, K], artifacts [N, T], confirmed [N]."""
        evidence = self.evidence(views, masks, facts)
        found = [head(evidence) for head in self.heads]
        kind, artifacts, confirmed = (torch.stack(part).mean(0) for part in zip(*found, strict=True))
        return self.calibration(kind, artifacts, confirmed)
