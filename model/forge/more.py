"""More images for the pool: `python -m forge.more --snapshots DIR --pool DIR`.

Beside the lists of shared/data, from public repositories that keep such files in git (snapshots lie at
SNAPSHOTS/OWNER+NAME/repo, as there): pages of real PDF files, rendered with their words' places, receipts from a
flatbed scanner, and camera originals. Rows are appended to the pool's index.csv; what is there already is left as it
is. Needs pypdfium2.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

PDF_REPOSITORIES = {
    "mozilla/pdf.js": "test/pdfs",
    "invoice-x/invoice2data": "",
    "jsvine/pdfplumber": "",
    "ocrmypdf/OCRmyPDF": "",
}
RECEIPTS = "softmatic/vision-data"
# Folder, licence, and every how many photos of a flight or a walk one is taken: neighbours show nearly the same.
CAMERA_REPOSITORIES = {
    "OpenDroneMap/odm_data_seneca": ("images", "CC0", 3),
    "mapillary/OpenSfM": ("data", "BSD-2-Clause (repository)", 2),
}
PAGES_A_FILE = 2
LEAST_LINES = 12
LEAST_SIDE = 600
DOTS_PER_INCH = (100, 200)  # of a phone's screenshot to an office scanner
Line = tuple[float, float, float, float, str]


@dataclass(frozen=True)
class Page:
    """An image: file as stored (its bytes), size in pixels, lines of text as x0, y0, x1, y1, text."""

    name: str
    content: bytes
    width: int
    height: int
    lines: list[Line]
    repository: str
    path: str


def blobs(repository: Path, under: str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of the files with a suffix under a folder; those that the snapshot lacks are left out."""
    git = ["git", "-C", str(repository)]
    listed = subprocess.run([*git, "ls-tree", "-r", "-z", "HEAD", "--", under or "."], capture_output=True, check=True)
    for entry in listed.stdout.decode().split("\0"):
        head, _, path = entry.partition("\t")
        if not path.lower().endswith(suffix):
            continue
        found = subprocess.run([*git, "cat-file", "blob", head.split()[2]], capture_output=True, check=False)
        if found.returncode == 0:
            yield path, found.stdout


def pdf_pages(path: str, content: bytes, repository: str) -> Iterator[Page]:
    """The first pages of a PDF that hold enough text, as PNG: they get a history of their own when they are forged."""
    import pypdfium2

    # The resolution follows from the name, so that a page is the same whenever it is made.
    resolution = int(np.random.default_rng(list(path.encode())).integers(*DOTS_PER_INCH))
    scale = resolution / 72
    try:
        document = pypdfium2.PdfDocument(content)
        for number in range(min(PAGES_A_FILE, len(document))):
            page = document[number]
            width, height = page.get_size()
            if not LEAST_SIDE <= min(width, height) * scale <= max(width, height) * scale <= 4000:
                continue
            text = page.get_textpage()
            lines = []
            for index in range(text.count_rects()):
                left, bottom, right, top = text.get_rect(index)
                words = " ".join(text.get_text_bounded(left, bottom, right, top).split())
                if words:
                    lines.append(
                        (left * scale, (height - top) * scale, right * scale, (height - bottom) * scale, words)
                    )
            if len(lines) < LEAST_LINES:
                continue
            picture = page.render(scale=scale).to_pil().convert("RGB")
            if np.asarray(picture.convert("L")).std() < 8:
                continue
            file = BytesIO()
            picture.save(file, "PNG")
            name = f"{Path(path).stem}-{number + 1}.png"
            yield Page(name, file.getvalue(), picture.width, picture.height, lines, repository, path)
    except pypdfium2.PdfiumError as error:  # many of these files are broken on purpose
        logging.info("%s: %s", path, error)


def receipts(snapshot: Path, repository: str) -> Iterator[Page]:
    """Scanned receipts whose text was found by an OCR service (Amazon Textract's blocks, relative boxes)."""
    found = dict(blobs(snapshot, "2D/Receipts", "_blocks.json"))
    for path, content in blobs(snapshot, "2D/Receipts", ".jpg"):
        blocks = found.get(path.removesuffix(".jpg") + "_blocks.json")
        if blocks is None:
            continue
        width, height = Image.open(BytesIO(content)).size
        lines = []
        for block in json.loads(blocks):
            if block["BlockType"] == "LINE":
                box = block["Geometry"]["BoundingBox"]
                x, y = box["Left"] * width, box["Top"] * height
                lines.append((x, y, x + box["Width"] * width, y + box["Height"] * height, block["Text"]))
        yield Page(Path(path).name, content, width, height, lines, repository, path)


def photographs(snapshot: Path, repository: str, under: str, every: int) -> Iterator[Page]:
    """Camera originals as they are stored, one of `every`."""
    for path, content in list(blobs(snapshot, under, ".jpg"))[::every]:
        width, height = Image.open(BytesIO(content)).size
        yield Page(Path(path).name, content, width, height, [], repository, path)


def add(pool: Path, name: str, licence: str, pages: Iterator[Page], domain: str = "document") -> int:
    """Writes images of a set into the pool, lines of text in SROIE's layout; how many are new."""
    index = pool / "index.csv"
    with open(index, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        fields = list(reader.fieldnames or [])
        known = {row["dest"] for row in reader}
    folder = pool / domain / name
    folder.mkdir(parents=True, exist_ok=True)
    added = 0
    with open(index, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        for page in pages:
            dest = f"{domain}/{name}/{page.name}"
            if dest in known:
                continue
            known.add(dest)
            (pool / dest).write_bytes(page.content)
            rows = [
                ",".join(str(round(v)) for v in (x0, y0, x1, y0, x1, y1, x0, y1)) + f",{text}"
                for x0, y0, x1, y1, text in page.lines
            ]
            boxes = Path(dest).with_suffix(".csv") if rows else ""
            if rows:
                (pool / boxes).write_text("\n".join(rows) + "\n", "utf-8")
            writer.writerow(
                {
                    "dest": dest,
                    "repo": page.repository,
                    "path": page.path,
                    "domain": domain,
                    "set": name,
                    "width": page.width,
                    "height": page.height,
                    "bytes": len(page.content),
                    "licence": licence,
                    "aux": boxes,
                }
            )
            added += 1
    return added


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    options = parser.parse_args()

    def snapshot(repository: str) -> Path:
        return options.snapshots / repository.replace("/", "+") / "repo"

    for repository, under in PDF_REPOSITORIES.items():
        if not snapshot(repository).exists():
            print(f"{repository}: no snapshot, left out")
            continue
        files = blobs(snapshot(repository), under, ".pdf")
        pages = (page for path, content in files for page in pdf_pages(path, content, repository))
        print(f"{repository}: {add(options.pool, 'pdf-pages', 'as the file says', pages)} pages")
    if snapshot(RECEIPTS).exists():
        print(
            f"{RECEIPTS}: {add(options.pool, 'softmatic', 'CC-BY-4.0', receipts(snapshot(RECEIPTS), RECEIPTS))} scans"
        )
    for repository, (under, licence, every) in CAMERA_REPOSITORIES.items():
        if snapshot(repository).exists():
            photos = photographs(snapshot(repository), repository, under, every)
            print(f"{repository}: {add(options.pool, 'camera', licence, photos, 'natural')} photographs")


if __name__ == "__main__":
    main()
