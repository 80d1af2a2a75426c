"""Averages the weights of runs of one lineage: `python -m average --checkpoint A B … --out C [--shards DIR]`.

A run that goes on from another's end, on other samples, gains where these are and loses elsewhere; between the two
lies a network that keeps most of both (Wortsman et al. 2022, model soups). Norms are folded into the convolutions
before them first: the same function can be had with weights of any size, and the mean of two sizes is none of both.
C is a checkpoint to export; with --shards, forged samples for the norms' statistics, also one to start from.
"""

import argparse
import pathlib
import sys

import torch
from torch import Tensor

from omni_iml.model import Config, OmniIML
from restore import BATCHES, fold, folded_pairs, forged, unfold
from train import refuse_other_config


def folded(state: dict) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, norms folded."""
    model = OmniIML(Config(**state["config"])).eval()
    model.load_state_dict(state["ema"])
    fold(folded_pairs(model))
    return model.state_dict()


def average(states: list[dict]) -> dict:
    """The mean of the checkpoints' averaged weights; what is no float, and the progress, are the last one's.

    Raises ValueError where they are of different configurations.
    """
    last = states[-1]
    for state in states:
        refuse_other_config(state["config"], Config(**last["config"]))
    weights = [folded(state) for state in states]
    mean = {
        name: torch.stack([one[name] for one in weights]).mean(0) if value.is_floating_point() else value
        for name, value in weights[-1].items()
    }
    return {"config": last["config"], "ema": mean, "progress": last["progress"] | {"averaged": len(states)}}


def with_statistics(state: dict, shards: str) -> dict:
    """The same network with norms that know what they see on forged samples."""
    model = OmniIML(Config(**state["config"])).eval()
    model.load_state_dict(state["ema"])
    unfold(model, folded_pairs(model), forged(shards, BATCHES))
    return state | {"ema": model.state_dict()}


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--shards", help="forged samples, where a run is to start from the mean")
    args = parser.parse_args()
    try:
        states = [torch.load(path, map_location="cpu", weights_only=True) for path in args.checkpoint]
        mean = average(states)
        torch.save(with_statistics(mean, args.shards) if args.shards else mean, args.out)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"average: {error}")


if __name__ == "__main__":
    main()
