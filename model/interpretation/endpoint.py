"""A vision endpoint with OpenAI's chat completions interface: vLLM, SGLang, llama.cpp, or a hosted one."""

import base64
import io
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

RETRIED = (408, 409, 429, 500, 502, 503, 504)


class EndpointError(Exception):
    """The endpoint refused, failed for good, or kept answering nonsense."""


@dataclass
class Endpoint:
    """Where to ask, and what was used. `url` ends before /chat/completions, as OpenAI's base_url does."""

    url: str
    model: str
    key: str = ""
    timeout_s: float = 120.0
    tries: int = 5
    wait_s: float = 2.0
    tokens_in: int = field(default=0, init=False)
    tokens_out: int = field(default=0, init=False)

    def ask(self, system: str, parts: list[dict], schema: dict, most_tokens: int = 800) -> dict:
        """One question, answered as JSON by `schema` (the endpoint enforces it where it can; the caller validates).

        Raises EndpointError after `tries` failures; waits as long as Retry-After says, else twice as long each time.
        """
        body = {
            "model": self.model,
            "temperature": 0,
            "max_tokens": most_tokens,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": parts}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            },
        }
        answer = self._post(body)
        usage = answer.get("usage") or {}
        self.tokens_in += usage.get("prompt_tokens") or 0
        self.tokens_out += usage.get("completion_tokens") or 0
        try:
            text = answer["choices"][0]["message"]["content"]
            value = json.loads(_unfenced(text))
        except (KeyError, IndexError, TypeError, json.JSONDecodeError) as error:
            raise EndpointError(f"no JSON in the answer: {error}") from error
        if not isinstance(value, dict):
            raise EndpointError("the answer is no JSON object")
        return value

    def _post(self, body: dict) -> dict:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(
            self.url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers, method="POST"
        )
        for attempt in range(1, self.tries + 1):
            wait = self.wait_s * 2 ** (attempt - 1)
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {error.read(300).decode(errors='replace')}"
                if error.code not in RETRIED:
                    raise EndpointError(f"the endpoint refused: {reason}") from error
                after = error.headers.get("Retry-After", "")
                wait = float(after) if after.replace(".", "", 1).isdigit() else wait
            except (urllib.error.URLError, TimeoutError, ConnectionError, json.JSONDecodeError) as error:
                reason = str(error)
            if attempt < self.tries:
                time.sleep(min(wait, 120))
        raise EndpointError(f"no answer after {self.tries} tries: {reason}")


def _unfenced(text: str) -> str:
    """Without the code fence that models without enforced schemas put around JSON."""
    text = text.strip()
    if text.startswith("```"):
        text = text.split("\n", 1)[-1].rsplit("```", 1)[0]
    return text


def words(text: str) -> dict:
    """A text part of a message."""
    return {"type": "text", "text": text}


def picture(pixels: np.ndarray, longest: int = 1024) -> dict:
    """An image part: uint8 [H,W,3] as a lossless data URL, shrunk to `longest` where larger."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    address = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": address}}
