import json
import math

import pytest

import traces
from export import POLICY, release


def one(name: str, *codes: str, jpeg: bool = False) -> dict:
    facts = {"quality": 90} if jpeg else None
    return {"file": f"/somewhere/{name}", "image": {"jpeg": facts}, "evidence": [{"code": code} for code in codes]}


def test_the_weight_is_what_a_found_copy_says():
    labels = {"tampered/a.png": True, "tampered/b.png": True, "authentic/c.png": False}
    found = [
        one("tampered/a.png", "modality", "copied_region", "copied_region"),
        one("tampered/b.png", "similar_places"),
        one("authentic/c.png"),
        {"file": "/somewhere/authentic/c.png", "error": "too large"},
    ]
    assert traces.counts(found, labels, "copied") == ((1, 2), (0, 1))
    assert traces.weight((1, 2), (0, 1)) == pytest.approx(math.log((1.5 / 3) / (0.5 / 2)))
    assert traces.weight((0, 50), (5, 50)) == 0
    with pytest.raises(ValueError, match="not in the set"):
        traces.counts([one("tampered/z.png")], labels, "copied")


def test_a_jpeg_and_another_file_tell_their_compression_by_different_evidence():
    labels = {"tampered/a.jpg": True, "tampered/b.jpg": True, "tampered/c.png": True, "tampered/d.png": True}
    found = [
        one("tampered/a.jpg", "region_compression_differs", jpeg=True),
        one("tampered/b.jpg", "jpeg_ghost", jpeg=True),
        one("tampered/c.png", "jpeg_grid_shifted"),
        one("tampered/d.png", "double_compression"),
    ]
    assert traces.counts(found, labels, "recompressed") == ((2, 4), (0, 0))


def test_a_release_gets_them_and_nothing_else_changes(tmp_path, monkeypatch):
    manifest = {"version": "1", "release": "old", "model": {"sha256": "ab"}, **json.loads(json.dumps(POLICY))}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "index.csv").write_text("dest,label\ntampered/a.png,1\nauthentic/c.png,0\n")
    lines = [one("tampered/a.png", "copied_region"), one("authentic/c.png")]
    (tmp_path / "found.jsonl").write_text("\n".join(map(json.dumps, lines)))
    line = f"traces --found {tmp_path}/found.jsonl --set {tmp_path} --manifest {tmp_path}/manifest.json --version 2"
    monkeypatch.setattr("sys.argv", line.split())
    traces.main()
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert written["score"]["copied"] == pytest.approx(math.log(3), abs=1e-3)
    assert written["score"]["recompressed"] == 0
    policy = {name: written[name] for name in POLICY}
    assert written["release"] == release("2", "ab", policy, None)
    assert {name: manifest["score"][name] for name in ("features", "weights", "bias")} == {
        name: written["score"][name] for name in ("features", "weights", "bias")
    }
    assert written["pipeline"] == manifest["pipeline"]
