"""Documents rendered here: letters, invoices, forms, receipts, with stamps and signatures; printed and scanned.

A page is a Photo with one quad a text line, so that the document forgers treat it like a scanned receipt.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from .histories import camera_noise
from .lettering import HANZI, coverage_at_size, draw_font, font_files, text_width
from .pool import Photo

WORDS = (
    "the of and to in for is on that by this with you it not or be are from at as your all have new more an was we "
    "will home can us about if page my has search free but our one other do no information time they site he up may "
    "what which their news out use any there see only so his when contact here business who web also now help get "
    "view online first been would how were services some these click its like service than find price date back top "
    "people had list name just over state year day into email two health world next used go work last most products "
    "music buy data make them should product system post her city add policy number such please available copyright "
    "support message after best software then good video well where info rights public books high school through "
    "each links she review years order very privacy book items company read group need many user said does set "
    "under general research university january mail full map reviews program life know games way days management "
    "part could great united hotel real item international center must store travel comments made development report "
    "off member details line terms before hotels did send right type because local those using results office "
    "education national car design take posted internet address community within states area want phone shipping "
    "reserved subject between forum family long based code show even black check special prices website index being "
    "women much sign file link open today technology south case project same pages version section own found sports"
).split()
NAMES = (
    "Martin Berger|Anna Lindqvist|Paulo Teixeira|Mei Tanaka|Jonas Weber|Sara Novak|Omar Haddad|Elena Petrova|"
    "Liam Carter|Grace Osei|Ravi Menon|Clara Dupont|Hugo Silva|Nina Kowalska|Tom Hughes|Aisha Khan"
).split("|")
HEADINGS = (
    "INVOICE|Tax Invoice|Statement of Account|Delivery Note|Purchase Order|CERTIFICATE|Rental Agreement|Report|"
    "Application Form|Bank Statement|Confirmation|Quotation|Pay Slip|Minutes of Meeting|Memorandum|RECEIPT"
).split("|")
LABELS = (
    "Name|Date|Address|Account No.|Reference|Amount due|Total|Subtotal|VAT 19%|Customer ID|Phone|Date of birth|"
    "Place|Signature|Policy no.|Period|IBAN|Due date|Item|Quantity|Unit price|Balance|Passport No.|Department"
).split("|")

CHINESE_SHARE = 0.2  # of pages, where there are fonts for it
CHINESE_NAMES = "王建国|李秀英|张伟明|刘洋|陈静怡|杨光|赵志强|黄丽华|周杰|吴晓燕|徐文斌|孙浩然".split("|")
CHINESE_HEADINGS = (
    "增值税专用发票|商标注册证|营业执照|收据|合同书|证明|通知书|申请表|身份证明|成绩单|检验报告|授权委托书|变更证明"
).split("|")
CHINESE_LABELS = (
    "姓名|日期|地址|金额|合计|编号|电话|注册人|注册日期|有效期至|注册人地址|证件号码|单价|数量|开户行|账号|项目|备注|单位|负责人|发证机关"
).split("|")


@dataclass(frozen=True)
class Language:
    """What a page says: headings, labels, stamps, a table's columns, running text, and what stands behind a label.

    `gap` is what parts the words of a line; `fonts` the style of its fonts, None for any print style.
    """

    headings: list[str]
    labels: list[str]
    stamps: list[str]
    columns: tuple[str, str, str]
    phrase: Callable[[np.random.Generator, int], str]
    value: Callable[[np.random.Generator], str]
    gap: str
    fonts: str | None


class Sheet:
    """A page being filled: an RGB canvas, and the text lines laid on it so far."""

    def __init__(
        self, rng: np.random.Generator, width: int, height: int, paper: tuple[int, int, int], language: Language
    ):
        self.rng = rng
        self.language = language
        self.canvas = Image.new("RGB", (width, height), paper)
        self.drawing = ImageDraw.Draw(self.canvas)
        self.quads: list[list[list[float]]] = []
        self.words: list[str] = []

    def write(self, x: float, y: float, text: str, font: str, size: int, ink: tuple[int, int, int]) -> float:
        """Lay a line with its ink's top left at (x, y); its width in pixels."""
        ink_map = Image.fromarray((coverage_at_size(text, font, size) * 255).astype(np.uint8))
        self.canvas.paste(ink, (round(x), round(y)), ink_map)
        x1, y1 = round(x) + ink_map.width, round(y) + ink_map.height
        if text.strip() and x1 < self.canvas.width and y1 < self.canvas.height:
            self.quads.append([[x - 1, y - 1], [x1 + 1, y - 1], [x1 + 1, y1 + 1], [x - 1, y1 + 1]])
            self.words.append(text)
        return ink_map.width

    def mark(self, ink: np.ndarray, x: int, y: int, colour: tuple[int, int, int]) -> None:
        """Lay a stamp or a signature (a coverage map) at (x, y)."""
        self.canvas.paste(colour, (x, y), Image.fromarray((np.clip(ink, 0, 1) * 255).astype(np.uint8)))


def amount(rng: np.random.Generator) -> str:
    """A sum of money."""
    value = float(np.exp(rng.uniform(np.log(1), np.log(50000))))
    text = f"{value:,.2f}" if rng.random() < 0.5 else f"{value:.2f}"
    return str(rng.choice(["", "", "$", "€ ", "RM ", "USD "])) + text


def date(rng: np.random.Generator) -> str:
    """A date in one of the usual notations."""
    day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(1998, 2026))
    forms = (
        f"{day:02d}/{month:02d}/{year}",
        f"{year}-{month:02d}-{day:02d}",
        f"{day:02d}.{month:02d}.{year % 100:02d}",
    )
    return forms[rng.integers(len(forms))]


def phrase(rng: np.random.Generator, words: int) -> str:
    """Some words, now and then with a number among them."""
    chosen = [str(word) for word in rng.choice(WORDS, words)]
    if rng.random() < 0.3:
        chosen[rng.integers(words)] = str(int(rng.integers(2, 9999)))
    text = " ".join(chosen)
    return text.capitalize() if rng.random() < 0.5 else text


def value(rng: np.random.Generator) -> str:
    """What stands behind a label."""
    style = rng.random()
    if style < 0.3:
        return amount(rng)
    if style < 0.5:
        return date(rng)
    if style < 0.75:
        return "".join(str(d) for d in rng.integers(0, 10, int(rng.integers(4, 12))))
    return NAMES[rng.integers(len(NAMES))]


def chinese_phrase(rng: np.random.Generator, words: int) -> str:
    """About as much text as that many English words hold, now and then with a number in it."""
    text = "".join(rng.choice(list(HANZI), int(rng.integers(1, 3)) * words))
    if rng.random() < 0.2:
        place = int(rng.integers(len(text)))
        return text[:place] + str(int(rng.integers(2, 9999))) + text[place:]
    return text


def chinese_value(rng: np.random.Generator) -> str:
    """What stands behind a label: also a date or a sum as they are written there, a name, a place."""
    style = rng.random()
    if style < 0.2:
        return f"{int(rng.integers(1998, 2026))}年{int(rng.integers(1, 13)):02d}月{int(rng.integers(1, 29)):02d}日"
    if style < 0.3:
        return f"￥{amount(rng).split()[-1].lstrip('$')}"
    if style < 0.5:
        return CHINESE_NAMES[rng.integers(len(CHINESE_NAMES))]
    return chinese_phrase(rng, 4) if style < 0.75 else value(rng)


ENGLISH = Language(
    HEADINGS,
    LABELS,
    ["PAID", "APPROVED", "COPY", "RECEIVED", "ORIGINAL"],
    ("Item", "Qty", "Price"),
    phrase,
    value,
    " ",
    None,
)
CHINESE = Language(
    CHINESE_HEADINGS,
    CHINESE_LABELS,
    ["已付款", "财务专用章", "合同专用章", "复印件", "原件"],
    ("项目", "数量", "金额"),
    chinese_phrase,
    chinese_value,
    "",
    "chinese",
)


# All that such pages are written with.
CHINESE_WORDS = (CHINESE_NAMES, CHINESE.headings, CHINESE.labels, CHINESE.stamps, CHINESE.columns)
CHINESE_CHARACTERS = "".join({*string.printable.strip(), *HANZI, *"年月日￥€", *"".join(map("".join, CHINESE_WORDS))})


def stamp(rng: np.random.Generator, side: int, language: Language = ENGLISH) -> np.ndarray:
    """Coverage of a rubber stamp: a ring or a frame with text, worn ink, turned a little."""
    canvas = np.zeros((side, side), np.uint8)
    thick = max(1, side // 40)
    middle = side // 2
    if rng.random() < 0.55:
        cv2.circle(canvas, (middle, middle), int(side * 0.46), 255, thick, cv2.LINE_AA)
        cv2.circle(canvas, (middle, middle), int(side * 0.33), 255, max(1, thick // 2), cv2.LINE_AA)
        box_height = 0.16
    else:
        top = int(side * 0.3)
        cv2.rectangle(canvas, (thick, top), (side - thick - 1, side - top), 255, thick, cv2.LINE_AA)
        box_height = 0.22
    label = str(rng.choice([*language.stamps, date(rng), "No. " + str(rng.integers(999))]))
    ink = coverage_at_size(label, draw_font(rng, language.fonts or "sans"), max(8, int(side * box_height)))
    fit = min(1.0, 0.6 * side / ink.shape[1])
    ink = cv2.resize(
        ink, (max(4, int(ink.shape[1] * fit)), max(4, int(ink.shape[0] * fit))), interpolation=cv2.INTER_AREA
    )
    y, x = (side - ink.shape[0]) // 2, (side - ink.shape[1]) // 2
    coverage = canvas.astype(np.float32) / 255
    coverage[y : y + ink.shape[0], x : x + ink.shape[1]] = np.maximum(
        coverage[y : y + ink.shape[0], x : x + ink.shape[1]], ink
    )
    wear = cv2.GaussianBlur(rng.standard_normal((side, side)).astype(np.float32), (0, 0), max(1.0, side / 60))
    wear = np.clip(0.85 + 0.35 * wear / max(float(wear.std()), 1e-4), 0.15, 1)
    turn = cv2.getRotationMatrix2D((middle, middle), float(rng.normal(0, 12)), 0.92)
    return cv2.warpAffine(coverage * wear, turn, (side, side), flags=cv2.INTER_LINEAR) * float(rng.uniform(0.6, 0.95))


def signature(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Coverage of a signature: a pen's loops drifting to the right, or a name in a script font."""
    if rng.random() < 0.35:
        ink = coverage_at_size(NAMES[rng.integers(len(NAMES))], draw_font(rng, "hand"), max(10, height // 2))
        scale = min(width / ink.shape[1], height / ink.shape[0])
        return cv2.resize(ink, (max(4, int(ink.shape[1] * scale)), max(4, int(ink.shape[0] * scale))))
    t = np.linspace(0, 1, 240)
    x, y = 0.1 + 0.8 * t, np.full_like(t, 0.5)
    for _ in range(5):
        turns = rng.uniform(1.5, 9)
        x += rng.normal(0, 0.05) * np.sin(2 * np.pi * turns * t + rng.uniform(0, 6.3))
        y += rng.normal(0, 0.16) * np.sin(2 * np.pi * turns * t + rng.uniform(0, 6.3)) * (1 - 0.5 * t)
    points = np.stack([np.clip(x, 0.02, 0.98) * width, np.clip(y, 0.04, 0.96) * height], axis=1)
    canvas = np.zeros((height, width), np.uint8)
    pen = max(1, round(height / 45))
    cv2.polylines(canvas, [np.round(points * 8).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 3)
    return canvas.astype(np.float32) / 255


INKS = ((20, 20, 20), (0, 0, 0), (45, 45, 50), (25, 30, 70))
STAMP_INKS = ((190, 30, 40), (30, 60, 160), (60, 30, 120), (40, 40, 40))
PEN_INKS = ((25, 40, 130), (20, 20, 25), (10, 30, 90))


def render_page(rng: np.random.Generator) -> Photo:
    """A page of about 1 MP with its lines' quads, printed and scanned three times in four."""
    width, height = int(rng.integers(640, 1250)), int(rng.integers(720, 1250))
    tint = int(rng.integers(0, 14))
    paper = (255 - int(rng.integers(0, 8)), 255 - tint // 2, 255 - tint)
    if rng.random() < 0.15:
        paper = tuple(int(v) for v in rng.integers(190, 250, 3))  # coloured stock, cards
    language = CHINESE if font_files("chinese") and rng.random() < CHINESE_SHARE else ENGLISH
    sheet = Sheet(rng, width, height, paper, language)
    size = int(rng.integers(15, 34))
    ink = INKS[rng.integers(len(INKS))]
    style = str(rng.choice(["letter", "invoice", "form", "receipt"], p=[0.3, 0.3, 0.2, 0.2]))
    font = draw_font(rng, language.fonts or ("mono" if style == "receipt" else None))
    bold = draw_font(rng, language.fonts or "sans")
    margin = int(width * rng.uniform(0.05, 0.12))
    y = int(height * rng.uniform(0.03, 0.08))
    heading = language.headings[rng.integers(len(language.headings))]
    sheet.write(margin, y, heading, bold, int(size * rng.uniform(1.3, 2.0)), ink)
    y += int(size * 2.8)
    while y < height - 3 * size:
        block = style if rng.random() < 0.8 else str(rng.choice(["letter", "invoice", "form"]))
        y = _BLOCKS[block](sheet, margin, y, font, size, ink) + int(size * rng.uniform(0.8, 2.0))
    for _ in range(int(rng.choice(3, p=[0.45, 0.4, 0.15]))):  # authentic ones, or stamps would mean "forged"
        side = int(rng.uniform(0.14, 0.25) * width)
        spot = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        sheet.mark(stamp(rng, side, language), *spot, STAMP_INKS[rng.integers(len(STAMP_INKS))])
    for _ in range(int(rng.choice(3, p=[0.45, 0.4, 0.15]))):
        sign = signature(rng, int(width * 0.28), int(width * 0.1))
        spot = int(rng.integers(0, width - sign.shape[1])), int(rng.integers(height // 2, height - sign.shape[0]))
        sheet.mark(sign, *spot, PEN_INKS[rng.integers(len(PEN_INKS))])
    photo = Photo(
        f"rendered-{style}", "document", "rendered", np.asarray(sheet.canvas),
        np.array(sheet.quads, np.float32).reshape(-1, 4, 2), tuple(sheet.words),
    )  # fmt: skip
    return printed_and_scanned(photo, rng) if rng.random() < 0.75 else photo


def _letter(sheet: Sheet, x: int, y: int, font: str, size: int, ink: tuple[int, int, int]) -> int:
    rng = sheet.rng
    room = sheet.canvas.width - 2 * x
    for _ in range(int(rng.integers(2, 7))):
        gap, text = sheet.language.gap, sheet.language.phrase(rng, 14)
        words = text.split(gap) if gap else list(text)
        while words and text_width(font, size, gap.join(words)) > room:
            words.pop()
        if words:
            sheet.write(x, y, gap.join(words), font, size, ink)
        y += int(size * 1.45)
        if y > sheet.canvas.height - 2 * size:
            break
    return y


def _form(sheet: Sheet, x: int, y: int, font: str, size: int, ink: tuple[int, int, int]) -> int:
    rng = sheet.rng
    filled_in = rng.random()  # by hand, by another machine, or printed with the form
    fonts, labels = sheet.language.fonts, sheet.language.labels
    value_font = draw_font(rng, fonts or ("hand" if filled_in < 0.25 else None)) if filled_in < 0.6 else font
    value_ink = PEN_INKS[rng.integers(len(PEN_INKS))] if filled_in < 0.25 else ink
    column = x + int(sheet.canvas.width * rng.uniform(0.25, 0.38))
    for _ in range(int(rng.integers(2, 6))):
        sheet.write(x, y, labels[rng.integers(len(labels))] + ":", font, size, ink)
        sheet.write(column, y, sheet.language.value(rng), value_font, size, value_ink)
        if rng.random() < 0.4:
            line = y + int(size * 1.25)
            sheet.drawing.line((column, line, sheet.canvas.width - x, line), fill=(120, 120, 120), width=1)
        y += int(size * 1.8)
        if y > sheet.canvas.height - 2 * size:
            break
    return y


def _invoice(sheet: Sheet, x: int, y: int, font: str, size: int, ink: tuple[int, int, int]) -> int:
    rng = sheet.rng
    right = sheet.canvas.width - x
    columns = [x + 6, x + int((right - x) * 0.52), x + int((right - x) * 0.75)]
    rows, step = int(rng.integers(3, 8)), int(size * rng.uniform(1.6, 2.1))
    grid = rng.random() < 0.6
    top = y
    for row in range(rows):
        if y + step > sheet.canvas.height - size:
            break
        if row == 0 and rng.random() < 0.4:
            sheet.drawing.rectangle((x, y - 4, right, y - 4 + step), fill=(215, 220, 228))
        filled = (sheet.language.phrase(rng, 2), str(rng.integers(1, 99)), amount(rng))
        texts = sheet.language.columns if row == 0 else filled
        for column, text in zip(columns, texts, strict=True):
            sheet.write(column, y + 2, text, font, size, ink)
        y += step
        if grid:
            sheet.drawing.line((x, y - 4, right, y - 4), fill=(110, 110, 110), width=1)
    if grid:
        for column in (x, columns[1] - 8, columns[2] - 8, right):
            sheet.drawing.line((column, top - 4, column, y - 4), fill=(110, 110, 110), width=1)
    return y


def _receipt(sheet: Sheet, x: int, y: int, font: str, size: int, ink: tuple[int, int, int]) -> int:
    rng = sheet.rng
    right = x + int((sheet.canvas.width - 2 * x) * 0.72)
    for _ in range(int(rng.integers(3, 9))):
        if y > sheet.canvas.height - 2 * size:
            break
        labels, words = sheet.language.labels, int(rng.integers(1, 4))
        labelled = rng.random() < 0.4
        left = labels[rng.integers(len(labels))] if labelled else sheet.language.phrase(rng, words).upper()
        sheet.write(x, y, left, font, size, ink)
        if rng.random() < 0.8:
            sheet.write(right, y, amount(rng), font, size, ink)
        y += int(size * 1.5)
    sheet.drawing.line((x, y, sheet.canvas.width - x, y), fill=ink, width=1)
    return y + size // 2


_BLOCKS = {"letter": _letter, "form": _form, "invoice": _invoice, "receipt": _receipt}


def printed_and_scanned(photo: Photo, rng: np.random.Generator) -> Photo:
    """Toner spread, paper shade, a camera's or scanner's geometry, blur, noise and contrast; quads move along."""
    height, width = photo.pixels.shape[:2]
    pixels = photo.pixels
    if rng.random() < 0.5:
        pixels = cv2.erode(pixels, np.ones((2, 2), np.uint8)) if rng.random() < 0.4 else cv2.medianBlur(pixels, 3)
    photographed = rng.random() < 0.35
    bend = 0.03 if photographed else 0.004
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.normal(0, bend, (4, 2)).astype(np.float32) * [width, height]
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    border = tuple(int(v) for v in (pixels[0, 0] if not photographed else rng.integers(20, 160, 3)))
    pixels = cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=border)
    quads = cv2.perspectiveTransform(photo.quads.reshape(-1, 1, 2), matrix).reshape(-1, 4, 2)
    blur = float(rng.uniform(0.3, 1.1))
    pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
    small = (
        rng.standard_normal((5, 5)).astype(np.float32)
        if photographed
        else rng.standard_normal((2, 3)).astype(np.float32)
    )
    shade = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    strength = float(rng.uniform(0.04, 0.14)) if photographed else float(rng.uniform(0.0, 0.04))
    tone = rng.uniform(0.86, 1.0, 3).astype(np.float32) if photographed else np.float32(1.0)
    shaded = pixels * (1 - strength * (0.5 + 0.5 * np.tanh(shade))) * tone
    contrast = float(rng.uniform(0.85, 1.15))
    pixels = np.clip((shaded - 128) * contrast + 128, 0, 255).astype(np.uint8)
    pixels = camera_noise(rng, pixels, float(rng.uniform(0.5, 4.0)), float(rng.choice([0.0, 0.6])))
    if rng.random() < 0.15:
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return Photo(photo.key, photo.domain, photo.set, pixels, quads.astype(np.float32), photo.words)
