from __future__ import annotations

import csv
import json
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .more import LEAST_LINES, add, blobs, pdf_pages, receipts
from .pool import Pool


def pdf(lines: int) -> bytes:
    """A letter page with that many lines of Helvetica, written by hand."""
    text = (
        "BT /F 24 Tf 72 740 Td 30 TL " + " ".join(f"(Amount due {number}00) Tj T*" for number in range(lines)) + " ET"
    )
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(text)}>>stream\n{text}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = "".join(f"{number} 0 obj{content}endobj\n" for number, content in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer<</Root 1 0 R>>".encode()


def test_a_page_shows_its_lines_where_it_says() -> None:
    (page,) = pdf_pages("a.pdf", pdf(15), "owner/name")
    pixels = np.asarray(Image.open(BytesIO(page.content)).convert("L"))
    assert pixels.shape == (page.height, page.width)
    assert len(page.lines) == 15
    for x0, y0, x1, y1, text in page.lines:
        assert text.startswith("Amount due")
        inside = pixels[round(y0) : round(y1), round(x0) : round(x1)]
        assert (inside < 128).mean() > 0.05
    without = pixels.copy()
    for x0, y0, x1, y1, _ in page.lines:
        without[int(y0) - 2 : int(y1) + 3, int(x0) - 2 : int(x1) + 3] = 255
    assert (without == 255).all()


def test_pages_with_little_text_and_broken_files_are_left_out() -> None:
    assert list(pdf_pages("a.pdf", pdf(LEAST_LINES - 1), "owner/name")) == []
    assert list(pdf_pages("a.pdf", b"%PDF-1.4 broken", "owner/name")) == []


@pytest.fixture()
def snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / "owner+name" / "repo"
    scans = folder / "2D" / "Receipts" / "A"
    scans.mkdir(parents=True)
    Image.new("RGB", (200, 400), "white").save(scans / "shop.jpg")
    box = {"BoundingBox": {"Left": 0.1, "Top": 0.5, "Width": 0.4, "Height": 0.05}}
    blocks = [{"BlockType": "PAGE", "Geometry": box}, {"BlockType": "LINE", "Geometry": box, "Text": "Milk, 1.29"}]
    (scans / "shop_blocks.json").write_text(json.dumps(blocks))
    Image.new("RGB", (200, 400), "white").save(scans / "unread.jpg")
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "scans"]):
        subprocess.run([*git, *command], check=True)
    return folder


def test_receipts_enter_the_pool_once(snapshot: Path, tmp_path: Path) -> None:
    assert sorted(path for path, _ in blobs(snapshot, "", ".jpg")) == [
        "2D/Receipts/A/shop.jpg",
        "2D/Receipts/A/unread.jpg",
    ]
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "index.csv").write_text("dest,repo,path,domain,set,width,height,bytes,licence,aux\n")
    assert add(pool, "scans", "CC-BY-4.0", receipts(snapshot, "owner/name")) == 1
    assert add(pool, "scans", "CC-BY-4.0", receipts(snapshot, "owner/name")) == 0
    with open(pool / "index.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["dest"], row["width"], row["licence"]) == ("document/scans/shop.jpg", "200", "CC-BY-4.0")
    drawn = Pool(pool, "all")
    photo = drawn.load(drawn.draw(np.random.default_rng(0), "document"))
    assert photo.words == ("Milk, 1.29",)
    assert photo.quads[0].tolist() == [[20, 200], [100, 200], [100, 220], [20, 220]]
