from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from . import document, face, natural, scene_text
from .forgery import Forgery, Unforgeable
from .histories import decode
from .pool import Pool
from .sample import DOMAINS, FORGERS, Forger, Sample, passed_on_sample
from .variation import OVEREXPOSED, VARIATIONS

MODULES = {"natural": natural, "document": document, "face": face, "scene_text": scene_text}


@pytest.fixture(scope="session")
def samples(forger: Forger) -> list[Sample]:
    return [sample for index in range(5) for sample in forger.shard(7, index, 60)]


def test_shapes_and_types(samples: list[Sample]) -> None:
    for sample in samples:
        assert sample.pixels.shape == (256, 256, 3) and sample.pixels.dtype == np.uint8
        assert sample.mask.shape == (256, 256) and sample.mask.dtype == bool
        assert sample.qtable.shape == (64,) and sample.qtable.dtype == np.int32
        assert 0 <= sample.domain < len(DOMAINS)


def test_same_seed_same_samples(forger: Forger, pool_folder) -> None:
    again = Forger(Pool(pool_folder, "all"), 256)
    for one, other in zip(forger.shard(3, 4, 12), again.shard(3, 4, 12), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.mask, other.mask)
        assert one.annotation == other.annotation


def test_other_index_other_samples(forger: Forger) -> None:
    one, other = forger.shard(3, 4, 1)[0], forger.shard(3, 5, 1)[0]
    assert not np.array_equal(one.pixels, other.pixels)


def test_pixels_and_table_come_from_the_final_file(samples: list[Sample]) -> None:
    for sample in samples:
        image = Image.open(io.BytesIO(sample.file))
        if sample.view:
            assert not sample.jpeg and (sample.qtable == 1).all()
            continue
        assert image.size == (256, 256)
        assert np.array_equal(np.asarray(image.convert("RGB")), sample.pixels)
        assert sample.jpeg == (image.format == "JPEG")
        expected = image.quantization[0] if sample.jpeg else [1] * 64
        assert sample.qtable.tolist() == list(expected)


def test_authentic_samples_have_empty_masks_and_the_others_do_not(samples: list[Sample]) -> None:
    for sample in samples:
        assert sample.mask.any() == (sample.kind != "authentic")
        assert bool(sample.annotation["boxes"]) == (sample.kind != "authentic")


def test_shares(samples: list[Sample]) -> None:
    kinds = Counter(sample.kind == "authentic" for sample in samples)
    assert 0.25 < kinds[True] / len(samples) < 0.42
    domains = Counter(DOMAINS[sample.domain] for sample in samples)
    assert 0.45 < domains["natural"] / len(samples) < 0.65
    assert min(domains[name] for name in DOMAINS) / len(samples) > 0.06
    assert 0.17 < sum(sample.view for sample in samples) / len(samples) < 0.33


def test_authentic_samples_get_the_same_histories(samples: list[Sample]) -> None:
    for forged, again, untouched in zip(samples[::3], samples[1::3], samples[2::3], strict=True):
        history = forged.annotation["history"]
        varied = [step for step in history if step in (*VARIATIONS, OVEREXPOSED)]
        assert again.annotation["history"] == history
        assert untouched.annotation["history"] in (history, varied)  # some are as their photograph came

    def afterlife(authentic: bool) -> float:
        chosen = [sample for sample in samples if (sample.kind == "authentic") == authentic]
        return float(np.mean([len(sample.annotation["afterlife"]) for sample in chosen]))

    assert abs(afterlife(True) - afterlife(False)) < 0.3


def test_every_kind_of_photograph_occurs_in_300_samples(samples: list[Sample]) -> None:
    seen = {sample.kind for sample in samples}
    assert {"authentic", *natural.KINDS, "text_replace", "text_copy", "text_erase", "face_swap"} <= seen


@pytest.mark.parametrize(
    ("domain", "kind"), [(name, kind) for name, module in MODULES.items() for kind in module.KINDS]
)
def test_every_kind_can_be_made_and_its_mask_marks_what_differs(forger: Forger, domain: str, kind: str) -> None:
    """Against the same background with the same prior life, before the afterlife."""
    bench = forger.bench(11, 0)
    for seed in range(60):
        rng = np.random.default_rng([11, seed])
        plan = forger.plan(rng, bench, domain, view=False)
        window = plan.window()
        before = window.pixels.copy()
        try:
            forgery = FORGERS[domain].forge(window, bench, rng, kind)
        except Unforgeable:
            continue
        break
    else:
        pytest.fail(f"no {kind} in 60 attempts")
    assert forgery.kind == kind
    assert np.array_equal(window.pixels, before), "the window must not be painted on"
    difference = np.abs(forgery.pixels.astype(int) - before).max(axis=2)
    near = np.zeros_like(forgery.mask)
    rows, columns = np.nonzero(forgery.mask)
    for dy in range(-6, 7):
        for dx in range(-6, 7):
            near[np.clip(rows + dy, 0, near.shape[0] - 1), np.clip(columns + dx, 0, near.shape[1] - 1)] = True
    strong = difference > (24 if kind in ("face_swap", "self_blend", "retouch", "feature_swap") else 8)
    assert strong[~near].sum() <= 0.03 * strong.sum() + 10, "changed outside the mask"
    assert (difference[forgery.mask] > 0).mean() > 0.2, "hardly changed inside the mask"


def test_authentic_twin_differs_only_by_the_forgery(forger: Forger) -> None:
    """One plan and rendering with and without forgery into a lossless file: equal outside the mask."""
    bench = forger.bench(11, 0)
    for seed in range(80):
        rng = np.random.default_rng([12, seed])
        plan = forger.plan(rng, bench, "natural", view=False)
        window = plan.window()
        try:
            forgery = natural.forge(window, bench, rng, "copy_move")
            rendering = forger.rendering(rng, plan, forgery.mask)
            after = rendering.afterlife
            if len(after.steps) > 1 or after.final.format != "PNG" or after.finish or after.factor != 1:
                continue
            forged = forger.render(plan, forgery, rendering)
        except Unforgeable:
            continue
        empty = np.zeros(window.pixels.shape[:2], bool)
        twin = forger.render(plan, Forgery(window.pixels, empty, "authentic"), rendering)
        differs = (forged.pixels != twin.pixels).any(axis=2)
        assert differs[forged.mask].mean() > 0.5
        assert differs[~forged.mask].mean() < 0.05
        return
    pytest.fail("no lossless rendering drawn")


def test_a_composite_is_rendered_twice_forged_and_once_untouched(samples: list[Sample]) -> None:
    for first, second, twin in zip(samples[::3], samples[1::3], samples[2::3], strict=True):
        assert first.kind == second.kind != "authentic" == twin.kind
        assert first.annotation["source"] == twin.annotation["source"]
        assert first.annotation["operations"] == second.annotation["operations"]
        assert not np.array_equal(first.pixels, second.pixels)


def test_whole_image_views_are_never_smaller_than_the_size(forger: Forger) -> None:
    """Scaled down to just the size, a frame must not lose a row to rounding: no afterlife would fit."""
    bench = forger.bench(11, 0)
    for seed in range(150):
        rng = np.random.default_rng([14, seed])
        plan = forger.plan(rng, bench, "natural", view=True)
        dx, dy = plan.life.margin
        assert min(plan.width - dx, plan.height - dy) >= forger.size


def test_crops_keep_the_block_grid_of_the_frame(forger: Forger) -> None:
    bench = forger.bench(11, 0)
    for seed in range(20):
        rng = np.random.default_rng([13, seed])
        plan = forger.plan(rng, bench, "natural", view=False)
        height, width = plan.window().pixels.shape[:2]
        place = np.zeros((height, width), bool)
        place[height // 2, width // 2] = True
        rendering = forger.rendering(rng, plan, place)
        assert rendering.x % 8 == 0 and rendering.y % 8 == 0
        assert rendering.x + rendering.width <= width and rendering.y + rendering.height <= height


@pytest.mark.parametrize("size", [320, 384])
def test_other_sizes(pool_folder, size: int) -> None:
    for sample in Forger(Pool(pool_folder, "all"), size).shard(1, 0, 6):
        assert sample.pixels.shape == (size, size, 3) and sample.mask.shape == (size, size)


def test_original_and_copy_are_shown_together() -> None:
    place, origin = np.zeros((400, 500), bool), np.zeros((400, 500), bool)
    place[40:60, 30:80], origin[150:180, 200:240] = True, True
    rng = np.random.default_rng(0)
    corners = [Forger._both(rng, place, origin, 256, 256) for _ in range(200)]
    shown = [corner for corner in corners if corner is not None]
    assert 0.7 < len(shown) / len(corners) < 0.9
    for x, y in shown:
        x, y = x // 8 * 8, y // 8 * 8
        assert x <= 30 and y <= 40 and 240 <= x + 256 and 180 <= y + 256
    assert all(Forger._both(rng, place, origin, 200, 256) is None for _ in range(20))


def test_untouched_samples_are_sometimes_saved_but_once(forger: Forger) -> None:
    freed = []
    for index in range(5):
        samples = forger.shard(7, index, 60)
        for forged, _, untouched in zip(samples[::3], samples[1::3], samples[2::3], strict=True):
            assert untouched.kind == "authentic"
            if forged.annotation["history"]:
                freed.append(not untouched.annotation["history"])
    assert 0.1 < np.mean(freed) < 0.35


def test_a_sample_passed_on_is_smaller_and_a_file_of_its_own(forger: Forger, samples: list[Sample]) -> None:
    rng = np.random.default_rng(3)
    passed = [(sample, passed_on_sample(rng, forger.book, sample, 192)) for sample in samples]
    kept = [(before, after) for before, after in passed if after is not None]
    assert len(kept) > 0.7 * len(passed) and all(before.kind != "authentic" for before, after in passed if not after)
    for before, after in kept:
        assert after.pixels.shape == (192, 192, 3) and after.kind == before.kind
        assert after.mask.mean() == pytest.approx(before.mask.mean(), abs=0.02)
        pixels, qtable, jpeg = decode(after.file)
        assert np.array_equal(pixels, after.pixels) and jpeg == after.jpeg and np.array_equal(qtable, after.qtable)
    assert 0.6 < np.mean([after.jpeg for _, after in kept]) < 0.95


def test_a_forgery_of_which_too_little_is_left_is_not_passed_on(forger: Forger, samples: list[Sample]) -> None:
    forged = next(sample for sample in samples if sample.kind != "authentic")
    mask = np.zeros_like(forged.mask)
    mask[8:17, 8:17] = True
    assert passed_on_sample(np.random.default_rng(3), forger.book, replace(forged, mask=mask), 160) is None
