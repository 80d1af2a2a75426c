"""Find face landmarks once: `python -m forge.landmarks --pool POOL --dev DEV`, in an environment with mediapipe.

Writes face_landmarks.csv beside this file: image (of the pool, then of the development set's authentic ones), then x,y
of 76 points in the image's pixels. Either folder alone adds the images that have no row yet. The detector is
MediaPipe's face mesh (0.10.14, Apache-2.0); nothing else of the forge imports it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import mediapipe
import numpy as np
from PIL import Image

from .evaluation.pool import AuthenticPool
from .pool import FACE_LANDMARKS, Pool

# Vertices of the mesh, in the order that face.py's slices name: left and right as the viewer sees them.
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377)
OVAL += (152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)
LEFT_EYE, LEFT_BROW = (33, 160, 158, 133, 153, 144), (70, 63, 105, 66, 107)
RIGHT_EYE, RIGHT_BROW = (362, 385, 387, 263, 373, 380), (336, 296, 334, 293, 300)
MOUTH, NOSE = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91), (6, 129, 98, 2, 327, 358)
VERTICES = OVAL + LEFT_EYE + LEFT_BROW + RIGHT_EYE + RIGHT_BROW + MOUTH + NOSE


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path)
    parser.add_argument("--dev", type=Path)
    options = parser.parse_args()
    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, min_detection_confidence=0.4)
    known = set()
    if FACE_LANDMARKS.exists():
        with open(FACE_LANDMARKS, newline="", encoding="utf-8") as file:
            known = {row[0] for row in csv.reader(file)}
    pools = [Pool(options.pool, "all")] if options.pool else []
    pools += [AuthenticPool(options.dev)] if options.dev else []
    with open(FACE_LANDMARKS, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for pool in pools:
            for record in pool.records:
                if record.domain != "face" or record.dest in known:
                    continue
                pixels = np.array(Image.open(pool.folder / record.dest).convert("RGB"))
                found = mesh.process(pixels).multi_face_landmarks
                if found:
                    points = [found[0].landmark[vertex] for vertex in VERTICES]
                    row = [round(v) for p in points for v in (p.x * record.width, p.y * record.height)]
                    writer.writerow([record.dest, *row])


if __name__ == "__main__":
    main()
