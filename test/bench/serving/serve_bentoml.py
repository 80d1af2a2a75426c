"""BentoML: one worker, at most 64 requests in hand, the rest refused with 429 (`traffic.max_concurrency`)."""

import bentoml
from work import Worker


@bentoml.service(workers=1, traffic={"timeout": 600, "max_concurrency": 64})
class Analyse:
    """Map and mask of an image in storage."""

    def __init__(self) -> None:
        self.worker = Worker()

    @bentoml.api(route="/analyse")
    async def analyse(self, input_url: str, sha256: str, outputs: dict[str, str]) -> dict[str, str]:
        """Map and mask to storage."""
        return await self.worker.do(input_url, sha256, outputs)
