"""Which artifact titles a manipulation gives cause for, from what the forge says it did.

A title is written only where two things hold: something was done that can leave it (this file), and the final file
shows it (traces.py, and for compression and resizing what came after). No title has no cause.
"""

import re
from dataclasses import dataclass

SAVE = re.compile(r"(JPEG|WEBP) (\d+)")
FILLS = ("telea", "navier-stokes", "diffusion", "exemplar", "clone", "inpaint", "flat", "ramp", "of one colour")


@dataclass(frozen=True)
class Deeds:
    """A sample's operations, read back into what matters for artifacts."""

    kind: str
    operations: tuple[str, ...]
    history: tuple[str, ...]
    donor: str
    donor_history: tuple[str, ...]
    afterlife: tuple[str, ...]

    @classmethod
    def of(cls, annotation: dict) -> "Deeds":
        """From an annotation of forge/sample.py."""
        return cls(
            annotation["kind"],
            tuple(annotation["operations"]),
            tuple(annotation["history"]),
            annotation["donor"],
            tuple(annotation["donor_history"]),
            # A whole-image view was squeezed to the sample's size after its file was written.
            (*annotation["afterlife"], *(["resize"] if annotation["view"] else [])),
        )

    def does(self, *words: str) -> bool:
        """Whether any operation holds one of these words, outside the quoted texts."""
        return any(word in re.sub("“.*?”", "“”", operation) for operation in self.operations for word in words)

    def numbers(self, pattern: str) -> list[float]:
        """The first groups of all matches in the operations."""
        return [float(found) for operation in self.operations for found in re.findall(pattern, operation)]


def last_quality(history: tuple[str, ...]) -> int:
    """Quality of the last lossy save; 100 where there was none."""
    saves = [int(quality) for step in history for _, quality in SAVE.findall(step)]
    return saves[-1] if saves else 100


def lowest_quality(history: tuple[str, ...]) -> int:
    """Quality of the worst lossy save; 100 where there was none."""
    return min([int(quality) for step in history for _, quality in SAVE.findall(step)], default=100)


TEXT_KINDS = ("text_replace", "text_insert", "text_copy", "text_splice", "text_swap", "text_erase")


def causes(deeds: Deeds) -> dict[str, str]:
    """Title to the words for what may have left it."""
    found: dict[str, str] = {}
    foreign = bool(deeds.donor)
    matched = deeds.does("colour transfer", "seamless", "ground matched")
    filled = deeds.does(*FILLS)
    lettered = deeds.kind in TEXT_KINDS and deeds.kind != "text_erase"
    made_anew = deeds.does("autoencoder", "decoder")

    edges = deeds.numbers(r"edge ([\d.]+) px")
    if any(edge <= 1.0 for edge in edges):
        found["edge"] = "its cut edge was hardly softened"
    elif deeds.does("laid over", "laid beside", "over others"):
        found["edge"] = "it was laid on as a patch with a border of its own"
    elif filled:
        found["edge"] = "what was filled in meets the old picture at its border"
    elif deeds.does("soft blending") and foreign:
        found["edge"] = "another face was blended in"

    if deeds.does("contrast", "tone changed") or (deeds.kind == "self_blend" and "colour" in deeds.operations):
        found["lighting"] = "its brightness was changed"
    elif foreign and not matched:
        found["lighting"] = "it was taken under other light and not matched"
    elif filled and deeds.kind != "copy_move":
        found["lighting"] = "the fill does not follow the light around it"
    elif deeds.kind == "copy_move" or deeds.does("laid over", "laid beside"):
        found["lighting"] = "it comes from a place under other light"

    if deeds.does("hue", "tone changed") or (deeds.kind == "self_blend" and "colour" in deeds.operations):
        found["colour"] = "its colours were changed"
    elif foreign and not matched:
        found["colour"] = "it keeps the colours of another picture"
    elif deeds.does("as is", "darkest") or deeds.kind in ("text_replace", "text_insert"):
        found["colour"] = "its ink or ground was not matched"

    if deeds.numbers(r"^noise ([\d.]+)$"):
        found["noise"] = "noise was added to it"
    elif deeds.does("median filter", "bilateral filter", "smoothed", "blur"):
        found["noise"] = "a filter took its noise away"
    elif made_anew:
        found["noise"] = "it came out of a decoder, not of a camera"
    elif filled:
        found["noise"] = "the fill has no noise of the camera"
    elif foreign:
        found["noise"] = "it was taken by another camera"
    elif lettered:
        found["noise"] = "it was drawn, not photographed"

    scales = [scale for scale in deeds.numbers(r"scale ([\d.]+)") if abs(scale - 1) > 0.08]
    if deeds.numbers(r"resampled at ([\d.]+)"):
        found["resolution"] = "it was made smaller and enlarged again"
    elif deeds.does("blur"):
        found["resolution"] = "it was blurred"
    elif deeds.does("sharpen"):
        found["resolution"] = "it was sharpened"
    elif scales:
        found["resolution"] = "it was scaled to fit"
    elif made_anew:
        found["resolution"] = "its finest detail was made up by a decoder"
    elif foreign:
        found["resolution"] = "it comes from a picture of another resolution"
    elif deeds.does("diffusion", "telea", "navier-stokes", "smoothed"):
        found["resolution"] = "the fill is smooth"

    levels = saved_apart(deeds)
    if levels:
        found["compression"] = levels[0]

    if made_anew:
        found["texture"] = "its texture was synthesized"
    elif filled:
        found["texture"] = "its texture was made up from what surrounds it"
    elif deeds.does("smoothed", "blur", "filter"):
        found["texture"] = "its texture was smoothed away"

    if lettered:
        found["alignment"] = "its letters were set by hand"
        found["font"] = (
            "its letters come from elsewhere" if deeds.does("laid") else "its letters were set in another font"
        )

    if deeds.kind == "copy_move":
        found["repetition"] = "it is a copy of another part of the image"
    elif deeds.kind == "text_copy":
        found["repetition"] = "the same letters stand elsewhere on the page"
    elif deeds.does("clone", "exemplar"):
        found["repetition"] = "it was filled with copies of its surroundings"

    if deeds.does("reshaped"):
        found["geometry"] = "a part of the face was reshaped"
    elif any(strength >= 3 for strength in deeds.numbers(r"warped ([\d.]+) px")):
        found["geometry"] = "it was warped"
    elif any(abs(angle) >= 15 for angle in deeds.numbers(r"rotation (-?\d+)°")):
        found["geometry"] = "it was rotated against its surroundings"
    elif deeds.does("own face moved"):
        found["geometry"] = "the face was shifted against the head"

    if deeds.does("shape cut-out"):
        found["semantics"] = "it shows a fragment of another scene"
    elif deeds.does("backdrop"):
        found["semantics"] = "the scene stands before another background"
    elif deeds.does("lettering"):
        found["semantics"] = "a caption was laid over the picture"
    elif _other_sort_of_text(deeds):
        found["semantics"] = "its text is of another sort than what stood there"
    return found


def saved_apart(deeds: Deeds) -> tuple[str, int] | None:
    """Words, and the quality whose trace is on one side only, where region and surroundings were saved differently.

    None also where what came after has levelled it: a trace of quality q outlives a later save clearly better than q.
    """
    after = deeds.afterlife
    if any(step.startswith(("resize", "print")) for step in after):
        return None
    before = last_quality(deeds.history)
    own = [int(quality) for quality in deeds.numbers(r"region saved at (\d+)")]
    if own:
        inside, words = own[0], f"it alone was saved at quality {own[0]}"
    elif deeds.donor_history:
        inside = last_quality(deeds.donor_history)
        words = f"it was saved at quality {inside} before, its surroundings at {before}"
    elif deeds.donor or deeds.kind in ("splice", "removal", "generated", "text_replace", "text_insert", "mark_insert"):
        inside, words = 100, f"it has not been through the save at quality {before} that its surroundings show"
    else:
        return None
    worse = min(before, inside)
    return (words, worse) if abs(before - inside) >= 12 and lowest_quality(after) >= min(92, worse + 8) else None


def _other_sort_of_text(deeds: Deeds) -> bool:
    """Letters where digits stood or the other way round."""
    for operation in deeds.operations:
        for old, new in re.findall(r"“(.+?)” replaced by “(.+?)”", operation):
            if abs(_digits(old) - _digits(new)) > 0.5:
                return True
    return False


def _digits(text: str) -> float:
    return sum(character.isdigit() for character in text) / max(1, len(text))
