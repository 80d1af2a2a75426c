import copy
import json

import cv2
import numpy as np
import pytest

from interpretation import validate
from interpretation.annotation import annotate, artifacts, place, relative
from interpretation.causes import Deeds, causes, saved_apart
from interpretation.traces import measure
from interpretation.validate import check, problems, validator
from interpretation.vocabulary import DOMAINS, KIND_OF, KINDS, TITLES

MADE = {
    "kind": "splice",
    "domain": "natural",
    "source": "natural/a.jpg",
    "history": ["JPEG 60 4:2:0"],
    "operations": ["object cut-out", "scale 0.70, rotation 20°", "edge 0.3 px"],
    "donor": "natural/b.jpg",
    "donor_history": ["JPEG 92 4:2:0"],
    "afterlife": ["crop 8,0 JPEG 95 4:2:0"],
    "view": False,
}


def scene(rng, noise=6.0):
    base = cv2.GaussianBlur(rng.standard_normal((200, 200, 3)).astype(np.float32), (0, 0), 6) * 250 + 128
    return np.clip(base + rng.normal(0, noise, base.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def pixels():
    return scene(np.random.default_rng(1))


@pytest.fixture
def mask():
    one = np.zeros((200, 200), bool)
    one[60:130, 50:150] = True
    return one


def traces(pixels, mask, text=False, copied=False, quality=None):
    return measure(pixels, mask, mask, text, copied, quality)


def test_an_untouched_region_shows_nothing(pixels, mask):
    found = traces(pixels, mask, copied=True)
    assert not artifacts("natural", "splice", dict.fromkeys(TITLES, "it"), found).keys() - {
        "geometry",
        "semantics",
        "lighting",
        "colour",
    }
    assert abs(found.noise) < 0.3 and abs(found.sharpness) < 0.4 and found.repeated < 0.8


def test_each_trace_answers_to_what_was_done(pixels, mask):
    def changed(edit):
        out = pixels.copy()
        out[mask] = edit(pixels)[mask]
        return out

    assert traces(changed(lambda p: np.clip(p.astype(int) + 40, 0, 255)), mask).brightness > 30
    assert traces(changed(lambda p: cv2.GaussianBlur(p, (0, 0), 1.5)), mask).noise < -0.8
    assert traces(changed(lambda p: cv2.GaussianBlur(p, (0, 0), 1.5)), mask).sharpness < -0.8
    assert traces(changed(lambda p: np.full_like(p, 128)), mask).structure < -1
    assert traces(changed(lambda p: np.clip(p.astype(int) + 40, 0, 255)), mask).seam > 0.4
    moved = pixels.copy()
    moved[60:130, 50:150] = pixels[125:195, 90:190]
    assert traces(moved, mask, copied=True).repeated > 0.95
    assert traces(moved[:, ::-1].copy(), mask[:, ::-1].copy(), copied=True).repeated > 0.95


def test_a_ghost_shows_which_side_was_saved_before(pixels, mask):
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), [cv2.IMWRITE_JPEG_QUALITY, 60])
    saved = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2RGB)
    out = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    out[mask] = saved[mask]
    assert traces(out, mask, quality=60).ghost > 2
    assert traces(out, ~mask, quality=60).ghost < -2
    assert abs(traces(saved, mask, quality=60).ghost) < 1


def test_no_title_without_a_cause(pixels, mask):
    brighter = pixels.copy()
    brighter[mask] = np.clip(pixels[mask].astype(int) + 60, 0, 255)
    found = traces(brighter, mask)
    assert "lighting" in artifacts("natural", "splice", {"lighting": "it was lit"}, found)
    assert "lighting" not in artifacts("natural", "splice", {"noise": "it"}, found)


def test_causes_come_from_what_was_done():
    given = causes(Deeds.of(MADE))
    assert {"edge", "lighting", "colour", "noise", "resolution", "compression", "geometry"} == set(given)
    assert "quality 92" in given["compression"] and "60" in given["compression"]
    matched = causes(Deeds.of(MADE | {"operations": ["object cut-out", "colour transfer", "edge 2.5 px"]}))
    assert not {"edge", "lighting", "colour", "geometry"} & set(matched)


def test_texts_within_operations_are_no_operations():
    deeds = Deeds.of(MADE | {"kind": "text_insert", "operations": ["“blur clone warped 9.0 px” inserted"], "donor": ""})
    assert not {"repetition", "texture"} & set(causes(deeds))


def test_compression_is_levelled_by_what_came_after():
    assert saved_apart(Deeds.of(MADE))[1] == 60
    assert saved_apart(Deeds.of(MADE | {"afterlife": ["JPEG 55 4:2:0"]})) is None
    assert saved_apart(Deeds.of(MADE | {"afterlife": ["resize 0.60", "JPEG 95 4:2:0"]})) is None
    assert saved_apart(Deeds.of(MADE | {"view": True})) is None
    assert saved_apart(Deeds.of(MADE | {"donor_history": ["JPEG 64 4:2:0"]})) is None


def test_where_instances_lie():
    assert place([0, 0, 10, 10], 100, 100) == "top left"
    assert place([45, 45, 55, 55], 100, 100) == "centre"
    assert place([45, 80, 55, 100], 100, 100) == "bottom"
    boxes = [[0, 0, 10, 10], [50, 2, 60, 12], [55, 80, 60, 90]]
    assert relative(0, boxes, 100, 100) == "left of i2"
    assert relative(2, boxes, 100, 100) == "below i2"
    assert relative(0, boxes[:1], 100, 100) == "touching the left and top border"
    assert relative(0, [[40, 40, 50, 50]], 100, 100) is None


def test_records_keep_to_the_schema(pixels, mask):
    record = annotate(MADE, pixels, mask)
    assert not [*problems(record)]
    assert record["manipulation"] == "splice" and len(record["instances"]) == 1
    authentic = annotate(MADE | {"kind": "authentic", "operations": [], "donor": ""}, pixels, np.zeros_like(mask))
    assert not [*problems(authentic)]
    assert authentic["manipulation"] is None and authentic["instances"] == []


def test_the_schema_and_the_code_close_the_same_sets():
    schema = validator().schema
    instance = schema["$defs"]["instance"]["properties"]
    assert tuple(instance["artifacts"]["items"]["properties"]["title"]["enum"]) == TITLES
    assert schema["properties"]["manipulation"]["enum"] == [*KINDS, None]
    assert tuple(schema["properties"]["domain"]["enum"]) == DOMAINS
    assert set(KIND_OF.values()) == set(KINDS)


def spoilt(record):
    """(what is spoilt, record) of one valid record."""

    def change(*path):
        def edit(value):
            one = copy.deepcopy(record)
            place = one
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
            return one

        return edit

    first = ("instances", 0)
    yield "schema", change("schema")("omni-273k/9.0.0")
    yield "domain", change("domain")("portrait")
    yield "manipulation", change("manipulation")("magic")
    yield "bbox", change(*first, "position", "absolute", "bbox")([10, 10, 5, 20])
    yield "bbox", change(*first, "position", "absolute", "bbox")([10, 10, 500, 20])
    yield "title", change(*first, "artifacts")([{"title": "magic", "description": "x"}])
    yield "title", change(*first, "artifacts")([{"title": "edge", "description": "x"}] * 2)
    yield "id", change("instances")([record["instances"][0]] * 2)
    yield "extra", change("extra")(1)
    yield "null", change("manipulation")(None)


def test_the_validator_finds_what_is_wrong(pixels, mask):
    record = annotate(MADE, pixels, mask)
    for what, broken in spoilt(record):
        assert [*problems(broken)], what
    assert [*problems([])] and [*problems(None)]


def test_the_command(pixels, mask, tmp_path, monkeypatch, capsys):
    record = annotate(MADE, pixels, mask)
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(json.dumps(record) + "\n\n")
    bad.write_text("\n".join([json.dumps(record), json.dumps(record), "{", json.dumps(record | {"domain": "x"})]))
    assert [problem.split(": ")[0] for problem in check(bad)] == [f"{bad}:{line}" for line in (2, 3, 4)]
    monkeypatch.setattr("sys.argv", ["validate", str(good)])
    validate.main()
    assert capsys.readouterr().out == "valid\n"
    monkeypatch.setattr("sys.argv", ["validate", str(good), str(bad)])
    with pytest.raises(SystemExit, match="3 problems"):
        validate.main()


def test_shards_carry_valid_records(forger):
    from forge.write import arrays

    made = json.loads(str(arrays(forger.shard(11, 0, 6))["annotations"]))
    for one in made:
        assert not [*problems(one["omni_273k"])]
        assert bool(one["omni_273k"]["instances"]) or one["kind"] == "authentic" or one["area"] < 0.003
