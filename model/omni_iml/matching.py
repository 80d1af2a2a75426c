"""Where else in the image a place looks the same: a copy-move is a pair of places, and one alone can't show it."""

import itertools
import pathlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from omni_iml.layers import ConvNorm, full_precision

KEYS = pathlib.Path(__file__).with_name("matching.npz")
# Cells of 8 px around a place that are not searched: neighbours look alike anyway.
RADIUS = 3
# A copy is a region whose places all point the same way. How many of the neighbours (3×3, 5×5) agree, and how closely,
# in cells of 8 px: the looser reading allows for rotation and scaling.
WINDOWS = (1, 2)
CLOSENESS = (1.0, 3.0)
# A tile of 768² has 2,304 places that look among 9,216: 85 MB of likenesses, of which a part at a time is kept.
PARTS = 4
# A white page and an overexposed sky are alike everywhere, and an edge is all along itself: which place is found there
# hangs on the last bit of a sum, and says nothing. What is no more like its match than it is like what lies next to the
# neighbourhood that is not searched does not count; from this much more on it does.
DISTINCT = 0.02


class Keys(nn.Module):
    """How a place looks: pretrained features at strides 4 [N, 24, …] and 8 [N, 48, H/8, W/8] to [N, 32, H/8, W/8].

    Learnt once (keys.py) to find a place again after saving, shifting, turning and scaling it, among all the others of
    the same picture. Not trained further: the pretrained features that it reads are frozen too.
    """

    def __init__(self):
        super().__init__()
        with np.load(KEYS) as file:
            found = {name: torch.from_numpy(file[name]) for name in file.files}
        self.register_buffer("mean", found["mean"][:, None, None], persistent=False)
        self.register_buffer("deviation", found["deviation"][:, None, None], persistent=False)
        width, cin = found["weight"].shape[:2]
        self.key = nn.Conv2d(cin, width, 3, padding=1)
        self.key.load_state_dict({"weight": found["weight"], "bias": found["bias"]})
        self.requires_grad_(False)

    def forward(self, quarter: Tensor, eighth: Tensor) -> Tensor:
        """See the class."""
        x = torch.cat([functional.avg_pool2d(quarter.float(), 2), eighth.float()], 1)
        return self.key((x - self.mean) / self.deviation)


def neighbours(x: Tensor, radius: int) -> Tensor:
    """The (2·radius+1)² values around each place: [N, 1, h, w] to [N, K, h, w]; outside there is only the far away."""
    side = 2 * radius + 1
    pick = torch.eye(side * side, dtype=x.dtype, device=x.device).reshape(-1, 1, side, side)
    return functional.conv2d(functional.pad(x, (radius,) * 4, value=1e4), pick)


def next_door(query: Tensor, key: Tensor) -> Tensor:
    """Of `query` [N, C, h/2, w/2] how like each is to the likest of eight places of `key` [N, C, h, w] out of reach."""
    reach = RADIUS + 1
    around = functional.pad(key, (reach,) * 4)
    height, width = key.shape[2:]
    likest = torch.full_like(query[:, 0], -1.0)
    for dy, dx in itertools.product((0, reach, 2 * reach), repeat=2):
        if (dy, dx) != (reach, reach):
            there = around[:, :, dy : dy + height : 2, dx : dx + width : 2]
            likest = torch.maximum(likest, (query * there).sum(1))
    return likest


def within_reach(there: Tensor, here: Tensor, dtype: torch.dtype) -> Tensor:
    """1 where a coordinate of the keys is within reach of one of the queries, which lie twice as far apart."""
    return ((2 * here[:, None] - there).abs() <= RADIUS).to(dtype)


def likest_in_other_rows(query: Tensor, key: Tensor, by_row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The likest place of `key` [N, C, h, w] in the rows that `by_row` [h/2, h] says to be out of reach of `query`'s.

    How like it is, its row and its column, each [N, h/2, w/2].
    """
    n, _, rows, columns = query.shape
    height, width = key.shape[2:]
    best, row, column = [], [], []
    for part in range(PARTS):
        some = slice(rows * part // PARTS, rows * (part + 1) // PARTS)
        near = by_row[some, None]
        similarity = query[:, :, some].flatten(2).transpose(1, 2) @ key.flatten(2)
        similarity = similarity.reshape(n, near.shape[0], columns, height, width)
        # The row first: where the largest of all lies takes three times as long to say as how large it is.
        of, where = (similarity.amax(4) - 2 * near).max(3)
        along = similarity.gather(3, where[..., None, None].expand(-1, -1, -1, 1, width))[..., 0, :]
        for found, one in zip((best, row, column), (of, where, along.argmax(3)), strict=True):
            found.append(one)
    return torch.cat(best, 1), torch.cat(row, 1), torch.cat(column, 1)


def likest_beside(query: Tensor, key: Tensor, by_column: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same for the rows within reach, in the columns that `by_column` [w/2, w] says to be out of it."""
    height, width = key.shape[2:]
    steps = range(2 * RADIUS + 1)

    def in_reach(of: Tensor) -> Tensor:
        """[N, C, h, w] to the rows within reach of every second: [N, C, h/2, 2·RADIUS+1, w]."""
        padded = functional.pad(of, (0, 0, RADIUS, RADIUS))
        return torch.stack([padded[:, :, step : step + height : 2] for step in steps], 3)

    similarity = query.permute(0, 2, 3, 1) @ in_reach(key).permute(0, 2, 1, 3, 4).flatten(3)
    outside = 1 - in_reach(torch.ones_like(key[:1, :1]))[0, 0, :, None]
    similarity = similarity.reshape(*similarity.shape[:3], len(steps), width) - (2 * by_column[:, None] + 4 * outside)
    best, where = similarity.flatten(3).max(3)
    rows = torch.ones_like(where).cumsum(1) - 1
    return best, where.div(width, rounding_mode="floor") + 2 * rows - RADIUS, where % width


class SelfCorrelation(nn.Module):
    """Pretrained features at strides 4 and 8 to [N, width, H/16, W/16]: how surely each place is half of a pair.

    Each place of a grid of 16 px looks among those of 8 px, outside its own neighbourhood, for the one most like it.
    The convolutions see how like it is, how many neighbours point the same way, whether it points back, how far away
    it lies, and how much there is to be seen at all.
    """

    def __init__(self, width: int):
        super().__init__()
        self.keys = Keys()
        seen = 4 + len(WINDOWS) * len(CLOSENESS)
        self.layers = nn.Sequential(
            ConvNorm(seen, width, 3), ConvNorm(width, width, 3, dilation=2), ConvNorm(width, width, 1, act=False)
        )

    def forward(self, quarter: Tensor, eighth: Tensor) -> Tensor:
        """See the class."""
        with torch.no_grad(), full_precision(quarter):
            seen = self.match(self.keys(quarter, eighth))
        return self.layers(seen)

    @staticmethod
    def match(key: Tensor) -> Tensor:
        """Keys [N, C, h, w], h and w even, to what is seen of the best matches [N, 8, h/2, w/2]."""
        w = key.shape[3]
        strength = key.norm(dim=1, keepdim=True).clamp(min=1e-6)
        key = key / strength
        query = key[:, :, ::2, ::2]
        rows, columns = torch.ones_like(query[0, 0]).cumsum(0) - 1, torch.ones_like(query[0, 0]).cumsum(1) - 1
        all_rows, all_columns = torch.ones_like(key[0, 0]).cumsum(0) - 1, torch.ones_like(key[0, 0]).cumsum(1) - 1
        best, row, column = likest_in_other_rows(query, key, within_reach(all_rows[:, 0], rows[:, 0], key.dtype))
        beside = likest_beside(query, key, within_reach(all_columns[0], columns[0], key.dtype))
        nearer = beside[0] > best
        best, row, column = (torch.where(nearer, *both) for both in zip(beside, (best, row, column), strict=True))
        distinct = ((best - next_door(query, key)) / DISTINCT).clamp(0, 1)
        dy, dx = row.to(key.dtype) - 2 * rows, column.to(key.dtype) - 2 * columns
        coarse_row, coarse_column = (place.div(2, rounding_mode="floor") for place in (row, column))
        there = (coarse_row * (w // 2) + coarse_column).flatten(1)
        back = [(one + one.flatten(1).gather(1, there).reshape(one.shape)).abs() for one in (dy, dx)]
        agreeing = []
        for radius in WINDOWS:
            apart = sum((neighbours(one[:, None], radius) - one[:, None]).abs() for one in (dy, dx))
            count = neighbours(distinct[:, None], radius) * distinct[:, None]
            for closeness in CLOSENESS:
                alike = (count * (-((apart / closeness) ** 2) / 2).exp()).sum(1) - distinct**2
                agreeing.append(alike / (apart.shape[1] - 1))
        far = (torch.maximum(dy.abs(), dx.abs()) - RADIUS - 1).clamp(max=16) / 16
        pointing_back = (-((sum(back) / 3) ** 2) / 2).exp()
        return torch.stack(
            [best, *agreeing, pointing_back * distinct, far * distinct, strength[:, 0, ::2, ::2].log()], 1
        )
