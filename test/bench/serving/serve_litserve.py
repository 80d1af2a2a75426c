"""LitServe with one worker a device; images of any size do not batch, so `max_batch_size` stays 1."""

import base64
import os

import litserve
from work import from_environment


class Analyse(litserve.LitAPI):
    """Map and mask of an image that comes in base64."""

    def setup(self, device: str) -> None:
        """Loads the session in the worker."""
        self.localiser = from_environment()

    def decode_request(self, request: dict[str, str]) -> bytes:
        """The file's bytes."""
        return base64.b64decode(request["image"])

    def predict(self, data: bytes) -> dict[str, str]:
        """Both PNG files in base64."""
        return self.localiser.analyse(data)

    def encode_response(self, output: dict[str, str]) -> dict[str, str]:
        """As it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Analyse(api_path="/analyse"), accelerator="cpu", workers_per_device=1, timeout=600)
    server.run(port=int(os.environ["BENCH_PORT"]), generate_client_file=False, log_level="warning")
