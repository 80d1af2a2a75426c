"""LitServe with one worker a device that awaits its jobs; images of any size do not batch: `max_batch_size` stays 1."""

import os

import litserve
from work import Worker


class Analyse(litserve.LitAPI):
    """Map and mask of an image in storage."""

    def setup(self, device: str) -> None:
        """Loads the session in the worker."""
        self.worker = Worker()

    async def decode_request(self, request: dict) -> dict:
        """As it is."""
        return request

    async def predict(self, job: dict) -> dict[str, str]:
        """Map and mask to storage."""
        return await self.worker.do(**job)

    async def encode_response(self, output: dict[str, str]) -> dict[str, str]:
        """As it is."""
        return output


if __name__ == "__main__":
    api = Analyse(api_path="/analyse", enable_async=True)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=600)
    server.run(port=int(os.environ["BENCH_PORT"]), generate_client_file=False, log_level="warning")
