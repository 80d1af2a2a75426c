from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..forgery import Unforgeable
from ..lettering import STYLES
from ..lettering import font_files as training_fonts
from .__main__ import FORGED_OF_FIVE, FORGERS, LARGEST_PIXELS, Sets, write_set
from .lettering import FAMILIES, font_files, lettered
from .pool import AuthenticPool

IMAGES = 10
DOMAINS = ("document", "face", "scene_text", "natural")

pytestmark = pytest.mark.skipif(
    not subprocess.run(
        ["fc-list", f":family={FAMILIES[0]}", "file"], capture_output=True, text=True, check=True
    ).stdout,
    reason="the evaluation's fonts are not installed",
)


@pytest.fixture(scope="module")
def dev(pool_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up pool as a development set; every third natural image passes for a manipulated one."""
    folder = tmp_path_factory.mktemp("dev")
    for name in ("natural", "document", "face", "scene_text"):
        (folder / name).symlink_to(pool_folder / name)
    with open(pool_folder / "index.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open(folder / "index.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "label"], lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(rows):
            writer.writerow(row | {"label": int(row["domain"] == "natural" and number % 3 == 0)})
    return folder


@pytest.fixture(scope="module")
def written(dev: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images of every domain."""
    folder = tmp_path_factory.mktemp("sets")
    sets = Sets(dev, 1)
    for domain in DOMAINS:
        write_set(sets, folder / domain, domain, IMAGES)
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_set_is_laid_out_as_the_development_set(written: Path, domain: str) -> None:
    found = rows(written / domain)
    assert len(found) == IMAGES and {row["domain"] for row in found} == {domain}
    assert sum(row["label"] == "1" for row in found) == IMAGES * FORGED_OF_FIVE // 5
    for row in found:
        with Image.open(written / domain / row["dest"]) as image:
            assert image.size == (int(row["width"]), int(row["height"]))
            assert image.width * image.height <= 1.01 * LARGEST_PIXELS
        assert (row["label"] == "1") == row["dest"].startswith("tampered/") == bool(row["mask"])
        if row["mask"]:
            with Image.open(written / domain / row["mask"]) as mask:
                assert mask.size == (int(row["width"]), int(row["height"]))
                assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_manipulated_images_are_never_a_source(dev: Path, written: Path) -> None:
    labels = {row["dest"]: row["label"] for row in rows(dev)}
    assert {record.dest for record in AuthenticPool(dev).records} == {k for k, v in labels.items() if v == "0"}
    for domain in DOMAINS:
        assert all(labels[row["original_path"]] == "0" for row in rows(written / domain))


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_image_depends_on_seed_domain_and_number_alone(dev: Path, written: Path, domain: str) -> None:
    row = rows(written / domain)[2]
    alone = Sets(dev, 1).image(domain, 2)
    assert (written / domain / row["dest"]).read_bytes() == alone.data
    assert Sets(dev, 2).image(domain, 2).data != alone.data


def test_a_stopped_run_goes_on(dev: Path, written: Path, tmp_path: Path) -> None:
    write_set(Sets(dev, 1), tmp_path, "document", 2)
    (tmp_path / rows(tmp_path)[0]["dest"]).write_bytes(b"kept")
    write_set(Sets(dev, 1), tmp_path, "document", 3)
    assert [row["dest"] for row in rows(tmp_path)] == [row["dest"] for row in rows(written / "document")[:3]]
    assert (tmp_path / rows(tmp_path)[0]["dest"]).read_bytes() == b"kept"


@pytest.mark.parametrize("domain", ["document", "face", "scene_text"])
def test_what_is_changed_is_marked(dev: Path, domain: str) -> None:
    """Before any later save: outside the mask nothing has changed by more than a feathered edge."""
    sets = Sets(dev, 3)
    for kind in FORGERS[domain].KINDS:
        for attempt in range(80):
            rng = np.random.default_rng([9, attempt])
            try:
                window = sets._background(rng, domain)
                forgery = FORGERS[domain].forge(window, sets.studio.bench, rng, kind)
            except Unforgeable:
                continue
            break
        else:
            pytest.fail(f"no {kind} in 80 attempts")
        difference = np.abs(forgery.pixels.astype(int) - window.pixels).max(axis=2)
        near = np.asarray(Image.fromarray(forgery.mask)).astype(np.uint8)
        reach = np.maximum.reduce([np.roll(near, (dy, dx), (0, 1)) for dy in range(-6, 7) for dx in range(-6, 7)]) > 0
        assert difference[~reach].max(initial=0) <= 8, kind
        assert (difference[forgery.mask] > 0).mean() > 0.15, kind


def test_fonts_are_others_than_in_training() -> None:
    assert not set(font_files()) & {name for style in STYLES for name in training_fonts(style)}
    assert lettered("Total", font_files()[0], 20).shape[0] == 20
    assert lettered("Total", font_files()[0], 20, 77).shape == (20, 77)
