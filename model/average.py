"""Averages the weights of runs of one lineage: `python -m average --checkpoint A B … --out C`.

A run that goes on from another's end, on other samples, gains where these are and loses elsewhere; between the two lies
a network that keeps most of both (Wortsman et al. 2022, model soups). C is a checkpoint to export and to start from.
"""

import argparse
import pathlib
import sys

import torch

from omni_iml.model import Config
from train import refuse_other_config


def average(states: list[dict]) -> dict:
    """The mean of the checkpoints' averaged weights; what is no float, and the progress, are the last one's.

    Raises ValueError where they are of different configurations.
    """
    last = states[-1]
    for state in states:
        refuse_other_config(state["config"], Config(**last["config"]))
    mean = {
        name: torch.stack([state["ema"][name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in last["ema"].items()
    }
    return {"config": last["config"], "ema": mean, "progress": last["progress"] | {"averaged": len(states)}}


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    try:
        states = [torch.load(path, map_location="cpu", weights_only=True) for path in args.checkpoint]
        torch.save(average(states), args.out)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"average: {error}")


if __name__ == "__main__":
    main()
