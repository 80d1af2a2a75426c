import csv
import pathlib

import cv2
import numpy as np
import pytest

import keys


@pytest.fixture
def views(tmp_path: pathlib.Path) -> keys.Views:
    rng = np.random.default_rng(2)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (500, 640, 3)).astype(np.uint8), (0, 0), 2)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    cv2.imwrite(str(tmp_path / "photo.png"), picture)
    with open(tmp_path / "index.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("dest", "domain"), ("photo.png", "natural")])
    return keys.Views(tmp_path, 1)


def test_the_map_between_two_views_leads_to_the_same_place(views: keys.Views) -> None:
    row, column = np.mgrid[60:196:8, 60:196:8].reshape(2, -1)
    for _ in range(12):
        first, second, between = views.pair()
        x, y = between[:, :2] @ np.stack([column, row]) + between[:, 2:]
        there = cv2.remap(second.copy(), x[None].astype(np.float32), y[None].astype(np.float32), cv2.INTER_LINEAR)[0]
        likeness = np.corrcoef(first[row, column].ravel(), there.ravel())[0, 1]
        assert likeness > 0.8


def test_the_target_of_a_place_is_the_cell_that_it_moved_to() -> None:
    index, inside, near = keys.targets(np.array([[1.0, 0, 16], [0, 1, -8]]))
    side = keys.SIDE // keys.CELL
    middle = (side // 4) * (side // 2) + side // 4  # of the coarse grid, at twice the row and column
    assert inside[middle] and index[middle] == (side // 2 - 1) * side + side // 2 + 2
    assert not near[middle, index[middle]]
    assert near[middle, index[middle] + 1] and not near[middle, index[middle] + 2]
    assert not inside[0]  # the first row moved out of the picture
