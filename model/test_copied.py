import json
import math

import pytest

import copied
from export import POLICY, release


def one(name: str, *codes: str) -> dict:
    return {"file": f"/somewhere/{name}", "evidence": [{"code": code} for code in codes]}


def test_the_weight_is_what_a_found_copy_says():
    labels = {"tampered/a.png": True, "tampered/b.png": True, "authentic/c.png": False}
    found = [
        one("tampered/a.png", "modality", "copied_region", "copied_region"),
        one("tampered/b.png", "similar_places"),
        one("authentic/c.png"),
        {"file": "/somewhere/authentic/c.png", "error": "too large"},
    ]
    assert copied.counts(found, labels) == ((1, 2), (0, 1))
    assert copied.weight((1, 2), (0, 1)) == pytest.approx(math.log((1.5 / 3) / (0.5 / 2)))
    assert copied.weight((0, 50), (5, 50)) == 0
    with pytest.raises(ValueError, match="not in the set"):
        copied.counts([one("tampered/z.png")], labels)


def test_a_release_gets_it_and_nothing_else_changes(tmp_path, monkeypatch):
    manifest = {"version": "1", "release": "old", "model": {"sha256": "ab"}, **json.loads(json.dumps(POLICY))}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "index.csv").write_text("dest,label\ntampered/a.png,1\nauthentic/c.png,0\n")
    lines = [one("tampered/a.png", "copied_region"), one("authentic/c.png")]
    (tmp_path / "found.jsonl").write_text("\n".join(map(json.dumps, lines)))
    line = f"copied --found {tmp_path}/found.jsonl --set {tmp_path} --manifest {tmp_path}/manifest.json --version 2"
    monkeypatch.setattr("sys.argv", line.split())
    copied.main()
    written = json.loads((tmp_path / "manifest.json").read_text())
    assert written["score"]["copied"] == pytest.approx(math.log(3), abs=1e-3)
    policy = {name: written[name] for name in POLICY}
    assert written["release"] == release("2", "ab", policy, None)
    assert {name: manifest["score"][name] for name in ("features", "weights", "bias")} == {
        name: written["score"][name] for name in ("features", "weights", "bias")
    }
    assert written["pipeline"] == manifest["pipeline"]
