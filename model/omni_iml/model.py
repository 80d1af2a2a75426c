"""Omni-IML whole: modal gate encoder, dynamic weight decoder, image heads (arXiv 2411.14823, from its description)."""

from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.decoder import Decoder, enlarge
from omni_iml.encoder import ENDS, WIDTHS, EfficientNetLite2, VisionHead
from omni_iml.frequency import FrequencyHead
from omni_iml.gate import CoarseMask, Fusion, ModalGate
from omni_iml.matching import SelfCorrelation

DOMAINS = ("natural", "document", "face", "scene_text")


@dataclass(frozen=True)
class Config:
    """Names every variant. The paper's own configuration has `high_pass` and `correlation` off."""

    modality: Literal["gated", "rgb", "fused"] = "gated"
    dynamic: bool = True
    high_pass: bool = True
    correlation: bool = True
    frequency_width: int = 64
    decoder_width: int = 64
    mask_stride: Literal[4, 2] = 4

    def as_dict(self) -> dict:
        """For checkpoints and manifests."""
        return asdict(self)


@dataclass
class Output:
    """Raw outputs of one forward pass; logits, at the strides named."""

    mask: Tensor  # [N, 1, H/stride, W/stride], the stride being the configuration's
    coarse_rgb: Tensor  # [N, 1, H/8, W/8]
    coarse_fused: Tensor  # [N, 1, H/8, W/8]
    gate: Tensor  # [N], positive: F_fused
    score: Tensor  # [N]
    domain: Tensor  # [N, 4]
    pyramid: list[Tensor]  # strides 4, 8, 16, 32


class OmniIML(nn.Module):
    """The network. See `forward`."""

    def __init__(self, config: Config | None = None):
        super().__init__()
        self.config = config or Config()
        self.mask_stride = self.config.mask_stride
        self.network = EfficientNetLite2()
        self.vision = VisionHead(self.network, self.config.high_pass)
        self.frequency = FrequencyHead(self.config.frequency_width)
        self.fusion = Fusion(WIDTHS[1], self.config.frequency_width)
        self.coarse_rgb = CoarseMask(WIDTHS[1])
        self.coarse_fused = CoarseMask(WIDTHS[1])
        self.gate = ModalGate(WIDTHS[1])
        self.decoder = Decoder(WIDTHS, self.config.decoder_width, self.config.dynamic, self.mask_stride)
        self.correlation = SelfCorrelation(self.config.decoder_width) if self.config.correlation else None
        self.score = nn.Sequential(nn.Linear(2 * self.config.decoder_width + 3, 64), nn.ReLU(), nn.Linear(64, 1))
        self.domain = nn.Linear(WIDTHS[3], len(DOMAINS))

    def forward(self, pixels: Tensor, qtable: Tensor, jpeg: Tensor, choice: Tensor | None = None) -> Output:
        """Pixels [N, 3, H, W] in 0…255 (H, W multiples of 32), table [N, 64], flag [N].

        `choice` [N]: −1 lets the gate choose, 0 forces F_rgb, 1 forces F_fused.
        """
        return self.finish(*self.perceive(pixels, qtable, jpeg), choice)

    def perceive(
        self, pixels: Tensor, qtable: Tensor, jpeg: Tensor, early: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor | None, ...]:
        """Both perception heads, gate, self-correlation: (quarter, F_rgb, F_fused, P_rgb, P_fused, logit, repeated)."""
        early = self.vision.early(pixels) if early is None else early
        repeated = self.correlation(*early) if self.correlation is not None else None
        quarter, rgb = self.vision(pixels, early)
        coarse_rgb = self.coarse_rgb(rgb)
        fused = self.fusion(rgb, self.frequency(pixels, qtable, jpeg))
        coarse_fused = self.coarse_fused(fused)
        gate = self.gate(rgb, fused, coarse_rgb, coarse_fused)
        return quarter, rgb, fused, coarse_rgb, coarse_fused, gate, repeated

    def finish(
        self,
        quarter: Tensor,
        rgb: Tensor,
        fused: Tensor,
        coarse_rgb: Tensor,
        coarse_fused: Tensor,
        gate: Tensor,
        repeated: Tensor | None,
        choice: Tensor | None = None,
    ) -> Output:
        """Passes one of the two feature maps per sample (a hard choice) through backbone, decoder and image heads."""
        if self.config.modality == "gated":
            take = gate > 0
            if choice is not None:
                take = (choice > 0) | ((choice < 0) & take)
            take = take[:, None, None, None]
            passed, coarse = torch.where(take, fused, rgb), torch.where(take, coarse_fused, coarse_rgb)
        else:
            passed, coarse = (fused, coarse_fused) if self.config.modality == "fused" else (rgb, coarse_rgb)
        sixteenth = self.network.blocks(passed, ENDS[1], ENDS[2])
        last = self.network.blocks(sixteenth, ENDS[2], ENDS[3])
        pyramid = self.decoder.pyramid(quarter, passed, sixteenth, last, repeated)
        correction, features = self.decoder(pyramid)
        # The decoder corrects the coarse mask of the modality that passed: it need not find again what is found.
        mask = correction + enlarge(coarse, 8 // self.mask_stride)
        pooled = functional.avg_pool2d(mask, 16 // self.mask_stride)  # 16 px: one bright pixel is no manipulation
        summary = torch.cat(
            [features.mean((2, 3)), features.amax((2, 3)), pooled.amax((2, 3)), mask.mean((2, 3)), mask.amax((2, 3))], 1
        )
        return Output(
            mask, coarse_rgb, coarse_fused, gate, self.score(summary)[:, 0], self.domain(last.mean((2, 3))), pyramid
        )
