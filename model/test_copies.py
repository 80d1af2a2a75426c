import json

import numpy as np
import pytest
from PIL import Image

import copies
from export import POLICY, release
from omni_iml.inference import LEAST, Found, logit, raised

PIPELINE = {"relative_floor": 0.0, "least_prominence": 0.0}
POLICY_OF_TWO = {"raise": 2.0, "least_difference": 0.5, "least_logit": -2.0}


def square(x: int, y: int, side: int) -> list[list[int]]:
    end = side - 1  # fillPoly includes the outline
    return [[x, y], [x + end, y], [x + end, y + end], [x, y + end]]


def drawn() -> np.ndarray:
    levels = np.full((12, 24), 10, np.uint8)
    levels[3:7, 3:7], levels[3:7, 15:19] = 100, 60
    return levels


def pair(first: list, second: list) -> dict:
    return {"first": first, "second": second, "whole": {"first": first, "second": second}}


BOTH = pair(square(3, 3, 4), square(15, 3, 4))


def test_of_two_places_the_one_that_reacts_more_is_raised():
    levels = drawn()
    for copy in (BOTH, pair(BOTH["second"], BOTH["first"])):
        found = raised(levels, [copy], POLICY_OF_TWO)
        assert np.array_equal(np.argwhere(found != levels)[[0, -1]], [[3, 3], [6, 6]])
        assert found[4, 4] == round(255 / (1 + np.exp(-logit(100 / 255, LEAST) - 2)))
    assert np.array_equal(raised(levels, [BOTH], POLICY_OF_TWO | {"least_difference": 1.0}), levels)
    assert np.array_equal(raised(levels, [BOTH], POLICY_OF_TWO | {"least_logit": -0.3}), levels)
    assert np.array_equal(raised(levels, [BOTH | {"second": square(90, 3, 4)}], POLICY_OF_TWO), levels)
    whole = BOTH | {"whole": {"first": square(3, 3, 6), "second": square(15, 3, 6)}}
    assert np.array_equal(np.argwhere(raised(levels, [whole], POLICY_OF_TWO) != levels)[[0, -1]], [[3, 3], [8, 8]])


def test_what_finds_most_and_flags_least_is_chosen(capsys):
    mask = np.zeros((12, 24), bool)
    mask[3:7, 3:7] = True
    # A logit of -2.4: 3 and more bring the copy above one half.
    faint = np.where(mask, np.uint8(21), np.uint8(5))
    forged = copies.Shown(faint, mask, [BOTH])
    chosen = copies.choose([forged], PIPELINE)
    assert chosen["raise"] == 3.0 and forged.worth(chosen, PIPELINE)[0] > 0.9
    assert forged.worth(copies.NOTHING, PIPELINE) == (0, False)
    assert "of 1 forged images 0.0000" in capsys.readouterr().out
    # Places that are alike by nature and react nearly as much: what finds the copy flags nine whole pictures.
    levels = np.full((12, 24), 19, np.uint8)
    levels[:4, :4] = 5
    whole = [[0, 0], [23, 0], [23, 11], [0, 11]]
    alike = copies.Shown(levels, None, [pair(whole, square(0, 0, 4))])
    assert alike.worth(chosen, PIPELINE)[0] > 0.9
    assert copies.choose([forged] + [alike] * 9, PIPELINE)["raise"] == 2.0
    # Of settings that find as much, the one that leaves authentic images alone.
    faint_too = copies.Shown(np.full((12, 24), 3, np.uint8), None, alike.copies)
    faint_too.levels[:4, :4] = 1
    kept = copies.choose([forged, faint_too], PIPELINE)
    assert kept["raise"] == 3.0 and kept["least_logit"] == -3.0
    assert faint_too.worth(chosen | {"least_logit": -9.0}, PIPELINE)[1] and not faint_too.worth(kept, PIPELINE)[1]


def test_a_release_gets_the_policy_and_nothing_else_changes(tmp_path, monkeypatch):
    manifest = {"version": "1", "release": "old", "model": {"sha256": "ab", "file": "x.onnx"}}
    manifest |= json.loads(json.dumps(POLICY))
    manifest["pipeline"] |= PIPELINE
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "index.csv").write_text("dest,label,mask\ntampered/a.png,1,mask/a.png\nauthentic/c.png,0,\n")
    (tmp_path / "mask").mkdir()
    mask = np.zeros((12, 24), np.uint8)
    mask[3:7, 3:7] = 255
    Image.fromarray(mask).save(tmp_path / "mask/a.png")
    (tmp_path / "tampered").mkdir()
    Image.new("RGB", (24, 12)).save(tmp_path / "tampered/a.png")
    lines = [
        {"file": f"{tmp_path}/tampered/a.png", "copies": [BOTH]},
        {"file": f"{tmp_path}/authentic/c.png", "copies": []},
    ]
    (tmp_path / "copies.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setattr(copies, "Session", lambda *_: None)
    tiles = np.where(mask > 0, 21, 5).astype(np.float32) / 255
    monkeypatch.setattr(copies, "analyse", lambda *_: Found(tiles, None, np.zeros(1), None, 0.0, np.zeros(4)))
    line = f"copies --copies {tmp_path}/copies.jsonl --set {tmp_path} --release {tmp_path} --version 2"
    monkeypatch.setattr("sys.argv", line.split())
    copies.main()
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert written["pipeline"]["copies"]["raise"] == 3.0
    assert written["pipeline"] == manifest["pipeline"] | {"copies": written["pipeline"]["copies"]}
    assert written["release"] == release("2", "ab", {name: written[name] for name in POLICY}, None)
    with pytest.raises(ValueError, match="not in the set"):
        copies.examine(None, tmp_path, [{"file": "/tampered/z.png", "copies": [BOTH]}], manifest["pipeline"])
