import argparse
import pathlib

import gate_figures
from forge.pool import Pool
from forge.sample import Forger
from omni_iml.inference import Session

RELEASE = pathlib.Path(__file__).parent / "release" / "omni-iml.onnx"


def test_every_sample_is_counted_and_the_gate_is_one_of_the_two(forger: Forger) -> None:
    session = Session(str(RELEASE), 1)
    for sample in forger.shard(3, 1, 6, "natural"):
        for condition in gate_figures.SHOWN:
            fused, f1 = gate_figures.measured(session, sample, condition)
            assert (f1 is None) == (not sample.mask.any())
            if f1 is not None:
                assert f1[0] == f1[2 if fused else 1]
                assert all(0 <= value <= 1 for value in f1)


def test_a_domain_has_a_line_for_each_condition(pool_folder: pathlib.Path, monkeypatch) -> None:
    monkeypatch.setattr(gate_figures, "Pool", lambda folder, _: Pool(folder, "all"))
    args = argparse.Namespace(pool=pool_folder, onnx=str(RELEASE), count=6, seed=1)
    lines = gate_figures.domain_lines((args, "natural"))
    assert [line.split(" | ")[1:3] for line in lines] == [[condition, "6"] for condition in gate_figures.SHOWN]
