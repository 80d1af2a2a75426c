import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from interpretation import annotate as module
from interpretation import prompts
from interpretation.annotate import annotate, estimate, pairs, read, run, written
from interpretation.endpoint import Endpoint, EndpointError
from interpretation.validate import problems


class Fake:
    """An OpenAI-compatible endpoint on a port of this machine; `broken` answers are given first."""

    def __init__(self):
        self.requests: list[dict] = []
        self.broken: list[tuple[int, str]] = []
        self.edge_is_visible = True
        self.content_is_right = True
        fake, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    fake.requests.append(body | {"path": self.path, "key": self.headers.get("Authorization")})
                    status, text = fake.broken.pop(0) if fake.broken else (200, json.dumps(fake.answer(body)))
                data = text.encode()
                if status == 200:
                    choice = {"message": {"role": "assistant", "content": text}}
                    usage = {"prompt_tokens": 1000, "completion_tokens": 50}
                    data = json.dumps({"choices": [choice], "usage": usage}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, body: dict) -> dict:
        text = body["messages"][1]["content"][-1]["text"]
        if "which kind of manipulation" in text:
            ids = re.findall(r"- (i\d+): x", text)
            return {
                "manipulation": "splice",
                "instances": [{"id": one, "content": f"a boat {one}", "relative": "left of the pier"} for one in ids],
            }
        if "Which artifacts" in text:
            claims = ["edge", "noise", "edge"]
            return {"artifacts": [{"title": title, "description": f"{title} at the bow"} for title in claims]}
        return {
            "content_is_right": self.content_is_right,
            "claims": [{"title": "edge", "visible": self.edge_is_visible}, {"title": "noise", "visible": False}],
        }


@pytest.fixture
def fake():
    one = Fake()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def folders(tmp_path):
    """Three images of 120×90 with two manipulated regions each."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(images / f"{name}.jpg")
        mask = np.zeros((90, 120), np.uint8)
        mask[10:40, 20:60], mask[60:80, 70:90] = 255, 255
        Image.fromarray(mask).save(masks / f"{name}.png")
    return images, masks


def endpoint(fake: Fake, **options) -> Endpoint:
    return Endpoint(fake.url, "qwen", "secret", tries=2, wait_s=0.01, **options)


def test_three_steps_for_each_image_drop_what_fails_the_check(fake, folders):
    [pair, *_] = pairs(*folders)
    pixels, regions = read(*pair)
    record = annotate(endpoint(fake), "a.jpg", "natural", pixels, regions)
    assert not [*problems(record)]
    assert record["manipulation"] == "splice"
    first, second = record["instances"]
    assert first["content"] == "a boat i1" and second["content"] == "a boat i2"
    assert first["position"] == {
        "absolute": {"bbox": [20, 10, 60, 40], "place": "top"},
        "relative": "left of the pier",
    }
    assert [artifact["title"] for artifact in first["artifacts"]] == ["edge"]
    assert record["annotator"] == {"type": "model", "name": "qwen", "dropped": 2}
    assert len(fake.requests) == 1 + 2 * 2
    request = fake.requests[1]
    assert request["path"] == "/v1/chat/completions" and request["key"] == "Bearer secret"
    assert [part["type"] for part in request["messages"][1]["content"]] == ["image_url"] * 3 + ["text"]
    assert request["response_format"]["json_schema"]["schema"] == prompts.DESCRIBED


def test_an_instance_whose_content_is_wrong_is_dropped(fake, folders):
    fake.content_is_right = False
    [pair, *_] = pairs(*folders)
    record = annotate(endpoint(fake), "a.jpg", "natural", *read(*pair))
    assert record["instances"] == []
    assert record["annotator"]["dropped"] == 4


def test_goes_on_where_it_stopped(fake, folders, tmp_path):
    out = tmp_path / "out.jsonl"
    every = pairs(*folders)
    assert run(endpoint(fake), every[:1], "natural", out, 1) == (1, 0)
    with open(out, "a") as file:
        file.write('{"image": {"name": "b.j')  # a crash in the middle of a line
    done = written(out)
    assert done == {"a.jpg"}
    asked = len(fake.requests)
    assert run(endpoint(fake), [pair for pair in every if pair[0].name not in done], "natural", out, 2) == (2, 0)
    assert written(out) == {"a.jpg", "b.jpg", "c.jpg"}
    assert len(fake.requests) == asked + 2 * 5


def test_tries_again_after_overload_and_nonsense(fake, folders):
    fake.broken = [(429, "busy"), (200, "Sure! Here is"), (200, '{"manipulation": "magic", "instances": []}')]
    [pair, *_] = pairs(*folders)
    record = annotate(endpoint(fake), "a.jpg", "natural", *read(*pair))
    assert len(record["instances"]) == 2
    assert len(fake.requests) == 3 + 5


def test_code_fences_are_taken_off(fake):
    fake.broken = [(200, '```json\n{"a": 1}\n```')]
    assert endpoint(fake).ask("", [], {}) == {"a": 1}


def test_a_failed_image_is_listed_and_the_others_are_written(fake, folders, tmp_path):
    out = tmp_path / "out.jsonl"
    fake.broken = [(400, "no such model")]
    assert run(endpoint(fake), pairs(*folders), "natural", out, 1) == (2, 1)
    [failure] = (tmp_path / "out.jsonl.failed.jsonl").read_text().splitlines()
    assert json.loads(failure)["image"] == "a.jpg" and "no such model" in failure
    assert written(out) == {"b.jpg", "c.jpg"}


def test_an_endpoint_that_is_not_there(folders, tmp_path):
    with pytest.raises(EndpointError, match="no answer after 2 tries"):
        Endpoint("http://127.0.0.1:9", "m", tries=2, wait_s=0.01).ask("", [], {})


def test_says_what_it_would_cost_and_asks_nothing(fake, folders, tmp_path, monkeypatch, capsys):
    images, masks = folders
    out = tmp_path / "out.jsonl"
    line = f"annotate --images {images} --masks {masks} --domain natural --out {out} --url {fake.url} --model qwen"
    monkeypatch.setattr("sys.argv", [*line.split(), "--price-in", "1000", "--price-out", "1000"])
    module.main()
    told = capsys.readouterr().out
    questions, tokens_in, tokens_out = estimate(pairs(images, masks))
    assert questions == 3 * 5 and tokens_out == 15 * module.ANSWER_TOKENS
    assert f"{tokens_in:,} tokens in" in told and f"{(tokens_in + tokens_out) / 1000:.2f} at these prices" in told
    assert fake.requests == [] and not out.exists()
    monkeypatch.setattr("sys.argv", [*line.split(), "--yes"])
    module.main()
    assert "3 annotated, 0 failed; used 15,000 tokens in, 750 out" in capsys.readouterr().out


def test_an_image_without_a_mask(folders):
    images, masks = folders
    (masks / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.jpg has no mask"):
        pairs(images, masks)


def test_the_reference_prompt_brightens_what_is_masked():
    pixels = np.full((2, 2, 3), 100, np.uint8)
    mask = np.array([[True, False], [False, False]])
    assert prompts.reference(pixels, mask)[0, 0].tolist() == [177] * 3
    assert prompts.reference(pixels, mask)[1, 1].tolist() == [50] * 3
