"""Parcels: tar files that each fit into one call. The first holds weights, fonts and the start of the pool."""

import csv
import io
import pathlib
import tarfile
from collections.abc import Iterator

import torch
from fontTools import subset

from forge import others
from forge.lettering import STYLES, font_files
from forge.page import CHINESE_CHARACTERS
from omni_iml.encoder import EfficientNetLite2

from .light_pool import Crop, index, landmarks, light_pool

MIB = 1 << 20
# Bytes of pictures that others forged, for each byte of crops: the set of shared/data fits beside the whole light pool.
FORGED_SHARE = 0.4
# What may come back in one file.
PIECE = 16 * MIB
# Of the widest family the plain cuts are enough.
WEIGHTS = ("Regular", "Bold", "Italic")


def halved(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in fp16; raises ValueError where one does not fit.

    The encoder is a part of the network and of its vision head, under two names: it is written once.
    """
    half = {name: value.half() if value.dtype.is_floating_point else value for name, value in state.items()}
    half |= {name: half[name.removeprefix("vision.")] for name in half if name.startswith("vision.network.")}
    for name, value in half.items():
        if value.dtype == torch.float16 and not torch.isfinite(value).all():
            raise ValueError(f"{name} does not fit into fp16")
    return half


def averaged_only(checkpoint: dict) -> dict:
    """Of a checkpoint what `train --init` and export.py need: the averaged weights, in fp16."""
    return {"config": checkpoint["config"], "ema": halved(checkpoint["ema"]), "progress": checkpoint["progress"]}


def saved(content: dict) -> bytes:
    """As torch.save writes it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def characters_alone(file: pathlib.Path, text: str) -> bytes:
    """A font with no other characters than the text's: a Chinese one is fifty times as large as is needed."""
    options = subset.Options(font_number=0, hinting=False, layout_features=[])
    with subset.load_font(str(file), options) as font:
        reducer = subset.Subsetter(options)
        reducer.populate(text=text)
        reducer.subset(font)
        written = io.BytesIO()
        subset.save_font(font, written, options)
    return written.getvalue()


def base_files(checkpoint: pathlib.Path | None) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the encoder's weights, the checkpoint to start from, and the fonts."""
    network = EfficientNetLite2()
    network.load_pretrained()
    yield "pretrained.pt", saved(halved(network.state_dict()))
    if checkpoint is not None:
        yield "init.pt", saved(averaged_only(torch.load(checkpoint, map_location="cpu", weights_only=True)))
    fonts = io.BytesIO()
    with tarfile.open(fileobj=fonts, mode="w:xz") as archive:
        for style in STYLES:
            for file in map(pathlib.Path, font_files(style)):
                name = f"fonts/{style}/{file.name}"
                if style == "chinese":
                    content = characters_alone(file, CHINESE_CHARACTERS)
                    entry = tarfile.TarInfo(str(pathlib.PurePath(name).with_suffix(".ttf")))
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
                elif not file.stem.startswith("Lato-") or file.stem.removeprefix("Lato-") in WEIGHTS:
                    archive.add(file, name)
    yield "fonts.tar.xz", fonts.getvalue()


class Parcel:
    """One tar file being filled; `number` counts from 1."""

    def __init__(self, folder: pathlib.Path, number: int):
        self.number = number
        self.path = folder / f"parcel-{number}.tar"
        self.archive = tarfile.open(self.path, "w")
        self.crops: list[Crop] = []
        self.pictures: list[dict[str, str]] = []
        self.bytes = 0

    def add(self, name: str, content: bytes) -> None:
        """One file."""
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        self.archive.addfile(entry, io.BytesIO(content))
        self.bytes += 1024 + len(content)

    def take(self, crop: Crop) -> None:
        """One image of the pool."""
        for name, content in crop.files.items():
            self.add(f"pool/{name}", content)
        self.crops.append(crop)

    def show(self, folder: pathlib.Path, row: dict[str, str]) -> None:
        """One picture that others forged, and its mask."""
        for name in (row["dest"], row["mask"]):
            self.add(f"forged/{name}", (folder / name).read_bytes())
        self.pictures.append(row)

    def close(self) -> None:
        """With the index of its own images."""
        if self.pictures:
            text = io.StringIO()
            rows = csv.DictWriter(text, fieldnames=list(self.pictures[0]), lineterminator="\n")
            rows.writeheader()
            rows.writerows(self.pictures)
            self.add(f"forged/index-{self.number}.csv", text.getvalue().encode())
        self.add(f"pool/index-{self.number}.csv", index(self.crops))
        self.add(f"pool/landmarks-{self.number}.csv", landmarks(self.crops))
        self.archive.close()


def forged_by_others(folder: pathlib.Path) -> list[dict[str, str]]:
    """Rows of the set that `forge.others` renders."""
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["set"] == others.SET]


def write_parcels(
    pool: pathlib.Path,
    checkpoint: pathlib.Path | None,
    out: pathlib.Path,
    pool_mib: float,
    parcel_mib: float,
    forged: pathlib.Path | None = None,
) -> list[Parcel]:
    """Fills parcels of at most `parcel_mib` with the base, a light pool of at most `pool_mib`, and what others forged.

    The pictures of `forged` come among the crops, so that any first part of the parcels has its share of both.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("parcel-*.tar"):
        old.unlink()
    parcels = [Parcel(out, 1)]
    for name, content in base_files(checkpoint):
        parcels[0].add(name, content)
    # Room for the index and for what tar adds.
    limit = parcel_mib * MIB * 0.99 - 64 * 1024

    def parcel_for(size: int) -> Parcel:
        if parcels[-1].bytes + size > limit and parcels[-1].crops:
            parcels[-1].close()
            parcels.append(Parcel(out, len(parcels) + 1))
        return parcels[-1]

    waiting = forged_by_others(forged) if forged else []
    room = 0.0
    for crop in light_pool(pool, int(pool_mib * MIB)):
        parcel_for(crop.size + 1024 * len(crop.files)).take(crop)
        room += FORGED_SHARE * crop.size
        while waiting:
            size = sum((forged / waiting[0][name]).stat().st_size + 1024 for name in ("dest", "mask"))
            if size > room:
                break
            parcel_for(size).show(forged, waiting.pop(0))
            room -= size
    parcels[-1].close()
    return parcels


def receive(parcel: pathlib.Path, home: pathlib.Path) -> int:
    """Unpacks one parcel and joins its index to those before; the number of images that the pool has now."""
    home.mkdir(parents=True, exist_ok=True)
    with tarfile.open(parcel) as archive:
        archive.extractall(home, filter="data")
    fonts = home / "fonts.tar.xz"
    if fonts.exists():
        with tarfile.open(fonts) as archive:
            archive.extractall(home, filter="data")
        fonts.unlink()
    pool = home / "pool"
    if (home / "forged").exists():
        joined(home / "forged", "index-*.csv", 1, home / "forged" / "index.csv")
    joined(pool, "landmarks-*.csv", 0, pool / "face_landmarks.csv")
    return joined(pool, "index-*.csv", 1, pool / "index.csv")


def joined(folder: pathlib.Path, pattern: str, heads: int, target: pathlib.Path) -> int:
    """Joins CSV files, the head line once, under a temporary name first: forgers may be reading; the rows written."""
    parts = [path.read_text().splitlines(keepends=True) for path in sorted(folder.glob(pattern))]
    rows = [row for part in parts for row in part[heads:]]
    temporary = target.with_suffix(".tmp")
    temporary.write_text("".join([*parts[0][:heads], *rows]))
    temporary.replace(target)
    return len(rows)


def split(content: bytes, folder: pathlib.Path, name: str, piece: int = PIECE) -> list[pathlib.Path]:
    """Writes pieces name.00, name.01, … of at most `piece` bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, start in enumerate(range(0, len(content), piece)):
        paths.append(folder / f"{name}.{number:02d}")
        paths[-1].write_bytes(content[start : start + piece])
    return paths


def join(folder: pathlib.Path, name: str, out: pathlib.Path) -> dict:
    """Joins the pieces into a checkpoint and reads it; raises FileNotFoundError where there are none."""
    pieces = sorted(folder.glob(f"{name}.[0-9][0-9]"))
    if not pieces:
        raise FileNotFoundError(f"no {name}.00 in {folder}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return torch.load(out, map_location="cpu", weights_only=True)
