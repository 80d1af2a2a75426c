"""The commands that the pages of this folder tell people to run exist, with every option that is named."""

import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).parent


def commands():
    """(page, module, options) of every `python -m …` in a block of shell."""
    for page in ("README.md", "FINETUNE.md"):
        for block in re.findall(r"```sh\n(.*?)```", (HERE / page).read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.search(r"python -m (\S+)([^#]*)", line)
                if found:
                    yield page, found.group(1), tuple(re.findall(r"(?<=\s)--[\w-]+", found.group(2)))


def test_there_are_commands():
    modules = {module for _, module, _ in commands()}
    assert {"interpretation.finetune", "interpretation.annotate", "interpretation.validate", "forge.write"} <= modules


@pytest.mark.parametrize(("page", "module", "options"), commands())
def test_a_command_is_there(page, module, options):
    source = (HERE.parent / (module.replace(".", "/") + ".py")).read_text()
    for option in options:
        assert f'"{option}"' in source, f"{page}: {module} has no {option}"
