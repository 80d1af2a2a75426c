import cv2
import numpy as np
import pytest

from . import page
from .document import _split_line
from .lettering import HANZI, altered_text, font_files, is_chinese

chinese_fonts = pytest.mark.skipif(not font_files("chinese"), reason="no Chinese font is installed")


def test_altered_text_keeps_to_its_script():
    for seed in range(20):
        new = altered_text(np.random.default_rng(seed), "注册日期2016")
        assert new != "注册日期2016" and len(new) == 8
        assert all(map(is_chinese, new[:4])) and new[4:].isdigit()


def test_frequent_characters_are_all_different():
    assert len(set(HANZI)) == len(HANZI) == 380


def test_chinese_characters_are_cells_of_one_width_whatever_gaps_they_have():
    line = np.full((40, 130), 240, np.uint8)
    for x in range(4):  # each of two strokes with a gap as wide as that between neighbours
        line[8:32, 6 + 30 * x : 14 + 30 * x] = line[8:32, 20 + 30 * x : 28 + 30 * x] = 20
    (word,) = _split_line(line, (4, 4, 124, 36), "注册日期")
    assert word.text == "注册日期"
    assert [box[0] for box in word.characters] == [4, 34, 64, 94] and word.characters[-1][2] == 124
    assert word.height == 24


def test_all_characters_of_chinese_pages_are_listed():
    for seed in range(300):
        rng = np.random.default_rng(seed)
        assert set(page.chinese_phrase(rng, 6) + page.chinese_value(rng)) <= {*page.CHINESE_CHARACTERS, " "}


@chinese_fonts
def test_a_page_in_chinese_has_lines_of_it_and_figures(monkeypatch):
    monkeypatch.setattr(page, "CHINESE_SHARE", 1.0)
    rendered = page.render_page(np.random.default_rng(4))
    text = "".join(rendered.words)
    assert is_chinese(rendered.words[0]) and any(letter.isdigit() for letter in text)
    assert not any(word.isascii() and word.isalpha() and word.lower() in page.WORDS for word in rendered.words)
    assert len(rendered.quads) == len(rendered.words)


@chinese_fonts
@pytest.mark.parametrize("font", font_files("chinese"))
def test_chinese_fonts_have_figures_and_frequent_characters(font):
    drawn = [page.coverage_at_size(letter, font, 40) for letter in "0123456789￥:年月日" + HANZI[:20] + "\U0010ffff"]
    same = [ink for ink in drawn[:-1] if ink.shape == drawn[-1].shape and np.array_equal(ink, drawn[-1])]
    assert not same, "drawn as a missing character"
    assert cv2.countNonZero((drawn[0] > 0.5).astype(np.uint8)) > 20
