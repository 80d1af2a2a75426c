"""Tests of what the inference policy is chosen by."""

import numpy as np
import pytest

import calibrate
from omni_iml.inference import LEAST, logit
from omni_iml.model import DOMAINS

SHOWN = (384, False)


def examined(tiles: np.ndarray, mask: np.ndarray | None) -> calibrate.Examined:
    """A picture whose view shows what its tiles show."""
    return calibrate.Examined("natural", tiles, {SHOWN: (tiles, 0.0)}, np.zeros(1), mask, np.eye(len(DOMAINS))[0])


def pictures() -> list[calibrate.Examined]:
    """One that is sure and reacts around the forged part too, one that is faint, and an authentic one, fainter."""
    forged = np.zeros((8, 8), bool)
    forged[2:5, 2:5] = True
    sure = np.full((8, 8), 10, np.uint8)
    sure[1:6, 1:6], sure[forged] = 170, 250
    faint = np.where(forged, np.uint8(120), np.uint8(5))
    authentic = np.full((8, 8), 5, np.uint8)
    authentic[:, 0] = 60
    return [examined(sure, forged), examined(faint, forged), examined(authentic, None)]


def test_a_floor_is_chosen_where_a_faint_map_needs_another_threshold_than_a_sure_one(capsys):
    shift, floor = calibrate.choose_floor(pictures(), SHOWN, [0.0] * len(DOMAINS), 0.5)
    # A lower threshold for all finds the faint one; the floor keeps what lies around the sure one out.
    assert shift == pytest.approx(0.25) and floor > 0
    assert f"shift 0.250, floor {floor}: F1 1.0000, of authentic images flagged 0.0000" in capsys.readouterr().out


def test_no_floor_is_chosen_and_no_threshold_lowered_where_nothing_is_gained():
    shift, floor = calibrate.choose_floor(pictures()[::2], SHOWN, [0.0] * len(DOMAINS), 200 / 255)
    assert floor == 0
    assert shift == pytest.approx(-logit(200 / 255, LEAST), abs=1e-6)


def test_a_threshold_that_flags_too_much_of_authentic_pictures_is_not_taken(monkeypatch):
    pictured = pictures()
    # As faint as what is forged: whatever finds the one flags an eighth of this picture.
    pictured[2].tiles[:, 0] = 121
    assert calibrate.choose_floor(pictured, SHOWN, [0.0] * len(DOMAINS), 0.5)[0] == 0
    monkeypatch.setattr(calibrate, "MOST_FLAGGED", 0.2)
    assert calibrate.choose_floor(pictured, SHOWN, [0.0] * len(DOMAINS), 0.5)[0] == pytest.approx(0.25)


def test_a_part_must_be_more_prominent_than_usual_only_where_that_is_worth_something():
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    tiles = np.where(mask, np.uint8(250), np.uint8(5))
    plain = [examined(tiles, mask), examined(np.full((8, 8), 5, np.uint8), None)]
    chosen = (SHOWN, [0.0] * len(DOMAINS), 0.0, 0.0)
    assert calibrate.choose_prominence(plain, *chosen) == calibrate.USUAL_PROMINENCE
    # An echo of .45 of the strongest part's logit.
    echoing = tiles.copy()
    echoing[7, 5:] = round(255 / (1 + np.exp(-0.45 * logit(250 / 255))))
    assert calibrate.choose_prominence([examined(echoing, mask), plain[1]], *chosen) == 0.5


def test_its_figures_are_those_of_the_delivered_map():
    one = pictures()[0]
    delivered = one.found(SHOWN, [0.0] * len(DOMAINS), 0.25, 0.6).blended()
    assert np.array_equal(delivered >= 0.5, one.mask)


def test_a_domains_weight_is_chosen_again_on_the_delivered_map_and_others_keep_theirs(capsys):
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    tiles = np.where(mask, np.uint8(250), np.uint8(5))
    blurred = np.full((8, 8), 5, np.uint8)
    blurred[1:7, 1:7] = 240
    fine = calibrate.Examined("document", tiles, {SHOWN: (blurred, 0.0)}, np.zeros(1), mask, np.eye(4)[1])
    alike = calibrate.Examined("natural", tiles, {SHOWN: (tiles, 0.0)}, np.zeros(1), mask, np.eye(4)[0])
    weights = calibrate.choose_weights([fine, alike, pictures()[2]], SHOWN, [0.4, 0.6, 0.4, 0.4], 0.0, 0.0, 0.0)
    assert weights[0] == 0.4 and weights[1] < 0.6 and weights[2:] == [0.4, 0.4]
    assert "document: F1 and AUC at 0.0 2.0000" in capsys.readouterr().out
