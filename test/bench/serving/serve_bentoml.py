"""BentoML: one worker, at most 64 requests in hand, the rest refused with 429 (`traffic.max_concurrency`)."""

from pathlib import Path

import bentoml
from work import from_environment


@bentoml.service(workers=1, traffic={"timeout": 600, "max_concurrency": 64})
class Analyse:
    """Map and mask of an image file."""

    def __init__(self) -> None:
        self.localiser = from_environment()

    @bentoml.api(route="/analyse")
    def analyse(self, image: Path) -> dict[str, str]:
        """Both PNG files in base64."""
        return self.localiser.analyse(image.read_bytes())
