import json

import numpy as np
import pytest
from jsonschema import validate
from PIL import Image

from forge.write import write_shard
from interpretation import finetune, prompts


@pytest.fixture(scope="module")
def shards(tmp_path_factory, forger):
    folder = tmp_path_factory.mktemp("shards")
    write_shard(folder / "shard-1-00000.npz", forger.shard(12, 0, 12))
    return folder


def exported(line, monkeypatch):
    monkeypatch.setattr("sys.argv", ["finetune", *map(str, line)])
    finetune.main()


def test_conversations_from_shards(shards, tmp_path, monkeypatch):
    exported(["--shards", shards, "--out", tmp_path, "--held-out", 0.4], monkeypatch)
    with np.load(shards / "shard-1-00000.npz") as shard:
        forged = int(shard["mask"].any(axis=(1, 2)).sum())
        made = json.loads(str(shard["annotations"]))
        pixels, masks = shard["pixels"], shard["mask"]
    parts = {part: (tmp_path / f"{part}.jsonl").read_text().splitlines() for part in ("train", "held-out")}
    lines = [json.loads(line) for part in parts.values() for line in part]
    assert len(lines) == forged
    photos = {}
    for part, found in parts.items():
        for line in map(json.loads, found):
            number = int(line["images"][0][7:14])
            photos.setdefault(made[number]["source"], set()).add(part)
            system, user, assistant = (message["content"] for message in line["messages"])
            assert system == prompts.SERVED and user.startswith("<image><image>The image is 256×256")
            answer = json.loads(assistant)
            validate(answer, prompts.ANSWER)
            assert all(f"- {instance['id']}: x " in user for instance in answer["instances"])
            image, marked = (np.asarray(Image.open(tmp_path / name)) for name in line["images"])
            assert np.array_equal(image, pixels[number])
            assert np.array_equal(marked, prompts.reference(image, masks[number].astype(bool)))
    assert all(len(sides) == 1 for sides in photos.values())
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert info["omni-273k-train"]["file_name"] == "train.jsonl"


def test_conversations_from_records(shards, tmp_path, monkeypatch):
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    with np.load(shards / "shard-1-00000.npz") as shard:
        made = json.loads(str(shard["annotations"]))
        number = next(n for n, one in enumerate(made) if one["omni_273k"]["instances"])
        Image.fromarray(shard["pixels"][number]).save(images / "a.png")
        Image.fromarray(shard["mask"][number] * 255).save(masks / "a.png")
    record = made[number]["omni_273k"]
    record["image"]["name"] = "a.png"
    (tmp_path / "records.jsonl").write_text(json.dumps(record) + "\n")
    out = tmp_path / "out"
    exported(
        ["--records", tmp_path / "records.jsonl", "--images", images, "--masks", masks, "--out", out, "--held-out", 0],
        monkeypatch,
    )
    [line] = map(json.loads, (out / "train.jsonl").read_text().splitlines())
    answer = json.loads(line["messages"][2]["content"])
    assert answer["manipulation"] == record["manipulation"]
    assert [one["artifacts"] for one in answer["instances"]] == [one["artifacts"] for one in record["instances"]]
