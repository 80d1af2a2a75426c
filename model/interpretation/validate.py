"""Checks annotations against the schema of Omni-273k, and what a schema cannot say.

    python -m interpretation.validate FILE.jsonl …

Prints `FILE:LINE: PATH: what is wrong` and ends with 1 where anything is.
"""

import argparse
import functools
import json
import pathlib
from collections.abc import Iterator

from jsonschema import Draft202012Validator

FOLDER = pathlib.Path(__file__).parent / "schema"


@functools.cache
def validator(schema: str = "omni-273k/1.0.0") -> Draft202012Validator:
    """The validator of a schema's version; raises ValueError where there is none."""
    path = FOLDER / (schema.replace("/", "-") + ".json")
    if path.parent != FOLDER or not path.is_file():
        raise ValueError(f"no schema {schema!r}; there is " + ", ".join(sorted(one.stem for one in FOLDER.iterdir())))
    return Draft202012Validator(json.loads(path.read_text()))


def problems(record: object) -> Iterator[str]:
    """What is wrong with one record, as `path: message`; nothing where it is valid."""
    name = record.get("schema") if isinstance(record, dict) else None
    try:
        checker = validator(name) if isinstance(name, str) else validator()
    except ValueError as error:
        yield f"$.schema: {error}"
        return
    wrong = sorted(checker.iter_errors(record), key=lambda error: error.json_path)
    if wrong:
        yield from (f"{error.json_path}: {error.message}" for error in wrong)
        return
    yield from _beyond(record)


def _beyond(record: dict) -> Iterator[str]:
    """What a schema cannot say: boxes inside the image, ids and titles once, nothing in an authentic image."""
    width, height = record["image"]["width"], record["image"]["height"]
    ids = [instance["id"] for instance in record["instances"]]
    if len(set(ids)) < len(ids):
        yield "$.instances: an id is used twice"
    if record["manipulation"] is None and record["annotator"]["type"] == "forge" and ids:
        yield "$.instances: the forge knows the kind of what it made"
    for number, instance in enumerate(record["instances"]):
        x0, y0, x1, y1 = instance["position"]["absolute"]["bbox"]
        if not (x0 < x1 <= width and y0 < y1 <= height):
            yield f"$.instances[{number}].position.absolute.bbox: not a box inside {width}×{height}"
        titles = [artifact["title"] for artifact in instance["artifacts"]]
        if len(set(titles)) < len(titles):
            yield f"$.instances[{number}].artifacts: a title is used twice"


def check(path: pathlib.Path) -> Iterator[str]:
    """`FILE:LINE: problem` for everything wrong in a file of records."""
    names: dict[str, int] = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                yield f"{path}:{number}: not JSON: {error}"
                continue
            found = [*problems(record)]
            yield from (f"{path}:{number}: {problem}" for problem in found)
            if not found:
                first = names.setdefault(record["image"]["name"], number)
                if first != number:
                    yield f"{path}:{number}: $.image.name: the same as in line {first}"


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    count = 0
    for path in args.files:
        for problem in check(path):
            print(problem)
            count += 1
    if count:
        raise SystemExit(f"{count} problems")
    print("valid")


if __name__ == "__main__":
    main()
