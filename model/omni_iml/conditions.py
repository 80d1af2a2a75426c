"""What may happen to an image on its way: saved again, or resized; the conditions of `npm run evaluate`."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from omni_iml.inference import Decoded


@dataclass(frozen=True)
class Condition:
    """`scale` of the sides (Lanczos), then JPEG at `quality`, or PNG where that is None."""

    scale: float
    quality: int | None


CONDITIONS = {
    "as-is": None,
    "jpeg85": Condition(1.0, 85),
    "jpeg70": Condition(1.0, 70),
    "resize75": Condition(0.75, 90),
    "resize75-png": Condition(0.75, None),
}


def under(image: Decoded, mask: np.ndarray | None, name: str) -> tuple[Decoded, np.ndarray | None]:
    """Image and mask (bool [H, W], or None) as the condition of that name leaves them."""
    condition = CONDITIONS[name]
    if condition is None:
        return image, mask
    picture = Image.fromarray(image.pixels)
    if condition.scale != 1:
        picture = picture.resize(
            tuple(round(side * condition.scale) for side in picture.size), Image.Resampling.LANCZOS
        )
        if mask is not None:
            small = Image.fromarray(mask.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.BILINEAR)
            mask = np.asarray(small) > 127
    if condition.quality is None:
        return Decoded(np.asarray(picture), np.ones(64, np.int32), False), mask
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=condition.quality)
    with Image.open(file) as saved:
        return Decoded(np.asarray(saved), np.array(saved.quantization[0], np.int32), True), mask
