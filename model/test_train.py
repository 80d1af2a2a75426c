import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import train
from omni_iml.model import DOMAINS, OmniIML
from omni_iml.shards import Stream

HERE = pathlib.Path(__file__).parent


def shard(path: pathlib.Path, side: int, count: int, seed: int) -> None:
    """Noise with a brighter rectangle as the manipulation; every third sample is authentic."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (count, side, side, 3)).astype(np.uint8)
    mask = np.zeros((count, side, side), np.uint8)
    for i in range(count):
        if i % 3:
            y, x = rng.integers(0, side // 2, 2)
            mask[i, y : y + side // 3, x : x + side // 3] = 1
    pixels[mask.astype(bool)] += 80
    np.savez(
        path,
        pixels=pixels,
        mask=mask,
        qtable=np.full((count, 64), 7, np.uint16),
        jpeg=np.ones(count, np.uint8),
        domain=(np.arange(count) % 4).astype(np.uint8),
        view=np.zeros(count, np.uint8),
        kind=np.array(["splice" if i % 3 else "authentic" for i in range(count)]),
    )


@pytest.fixture
def shards(tmp_path: pathlib.Path) -> pathlib.Path:
    for seed in range(3):
        shard(tmp_path / f"shard-1-{seed:05d}.npz", 64, 12, seed)
    return tmp_path


@pytest.fixture
def init(tmp_path: pathlib.Path) -> pathlib.Path:
    """An untrained network as a checkpoint, so that no test needs the pretrained weights."""
    torch.manual_seed(0)
    model = OmniIML()
    path = tmp_path / "init.pt"
    torch.save({"config": model.config.as_dict(), "ema": model.state_dict(), "progress": {}}, path)
    return path


def line(run: pathlib.Path, shards: pathlib.Path, init: pathlib.Path, *more: str) -> list[str]:
    """A command line for the tiny set: batches of 4 crops of 64² are a quarter of one 256² sample."""
    given = {"--run": run, "--shards": shards, "--val": shards, "--init": init, "--batch": 0.25, "--val-shards": 1}
    return ["start", *(str(part) for pair in given.items() for part in pair), "--threads", "1", "--report", "2", *more]


def test_a_run_learns_reports_and_ends_with_its_budget(tmp_path, shards, init, capsys):
    run = tmp_path / "run"
    # 30 steps of 4, with anomaly enhancement in the last fifth and the heads alone in the first.
    args = train.arguments(
        line(run, shards, init, "--samples", "120", "--anomaly-from", "0.8", "--heads-until", "0.2", "--lr", "3e-3")
    )
    train.start(args)
    rows = [json.loads(row) for row in (run / "log.jsonl").read_text().splitlines()]
    assert "mask" not in rows[0] and "mask" in rows[4]
    assert "anomaly" not in rows[5] and "anomaly" in rows[-2]
    early, late = (np.mean([row["coarse_fused"] for row in part]) for part in (rows[:5], rows[-6:-1]))
    assert late < 0.95 * early
    assert rows[-1]["samples"] == 120
    assert set(rows[-1]["end"]) >= {"natural", "document", "face", "scene_text", "kinds"}
    assert "minutes of training are left, 120 samples in all" in capsys.readouterr().out
    assert (run / "preview.png").exists()
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    assert saved["progress"]["samples"] == 120
    assert not torch.equal(saved["ema"]["gate.classify.weight"], saved["model"]["gate.classify.weight"])


def test_going_on_from_a_checkpoint_is_the_same_run(tmp_path, shards, init):
    args = train.arguments(line(tmp_path / "run", shards, init, "--samples", "1000"))
    sample = next(Stream(str(shards), 0.25, 0).batches())
    first = train.Training(args)
    for _ in range(2):
        first.step(sample)
    first.save()
    second = train.Training(args)
    assert (second.samples, second.steps, second.progress) == (first.samples, first.steps, first.progress)
    for training in (first, second):
        torch.manual_seed(1)
        training.step(sample)
    for name, value in first.model.state_dict().items():
        assert torch.allclose(value, second.model.state_dict()[name], atol=1e-6), name
        assert torch.allclose(first.ema[name].float(), second.ema[name].float(), atol=1e-6), name


def test_a_run_pauses_goes_on_and_keeps_what_it_has_when_it_is_ended(tmp_path, shards, init):
    run = tmp_path / "run"
    log = run / "log.jsonl"

    def command(what: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "train", what, "--run", str(run), *more]

    def reports() -> int:
        return len(log.read_text().splitlines()) if log.exists() else 0

    given = line(run, shards, init, "--samples", "100000000", "--pause-poll", "0.05")
    with subprocess.Popen(
        [sys.executable, "-m", "train", *given], cwd=HERE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_until(process, lambda: reports() >= 2)
            subprocess.run(command("pause"), cwd=HERE, check=True)
            wait_until_still(reports)
            paused = reports()
            subprocess.run(command("resume"), cwd=HERE, check=True)
            wait_until(process, lambda: reports() > paused)
            process.terminate()
            assert process.wait(120) == 0
        finally:
            process.kill()
    progress = torch.load(run / "checkpoint.pt", weights_only=True)["progress"]
    assert progress["samples"] == 4 * progress["steps"] >= 8


def wait_until(process: subprocess.Popen, condition) -> None:
    """Polls for at most two minutes, as long as the process lives."""
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the run ended"
        assert time.monotonic() < end, "nothing happened for two minutes"
        time.sleep(0.05)


def wait_until_still(count) -> None:
    """Until the count has not moved for two seconds: the step in hand is over."""
    end, seen, since = time.monotonic() + 120, count(), time.monotonic()
    while time.monotonic() - since < 2:
        assert time.monotonic() < end, "the run does not pause"
        if count() != seen:
            seen, since = count(), time.monotonic()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--anomaly-from", "0.2", "--heads-until", "0.3"], "--anomaly-from must not be below --heads-until"),
        (["--hours", "0"], "budget must be above 0"),
        (["--hours", "1", "--samples", "5"], "not allowed with"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, capsys, more, reason):
    with pytest.raises(SystemExit):
        train.arguments(line(tmp_path, tmp_path, tmp_path, *more))
    assert reason in capsys.readouterr().err


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path, shards, init):
    args = train.arguments(line(tmp_path / "run", shards, init, "--config", '{"modality": "rgb"}'))
    with pytest.raises(ValueError, match="the checkpoint is of configuration"):
        train.Training(args)


def test_a_run_without_shards_says_what_to_do(tmp_path, init):
    args = train.arguments(line(tmp_path / "run", tmp_path, init))
    with pytest.raises(FileNotFoundError, match="no shards in"):
        train.start(args)


def test_batches_of_one_side_are_of_one_size_and_none_is_lost(tmp_path):
    shard(tmp_path / "shard-1-0.npz", 64, 40, 0)
    shard(tmp_path / "shard-1-1.npz", 96, 20, 1)
    shard(tmp_path / "shard-1-2.npz", 128, 3, 2)
    seen = {}
    batches = Stream(str(tmp_path), 1, 0).batches()
    for _ in range(40):
        sample = next(batches)
        count, side = sample.mask.shape[:2]
        assert sample.pixels.shape == (count, 3, side, side)
        assert seen.setdefault(side, count) == count
    # 16 × 64² are one 256² sample's worth, 7 × 96², 4 × 128²: the 3 there are wait for a fourth.
    assert seen == {64: 16, 96: 7, 128: 4}


def test_weights_say_how_often_a_domain_or_kind_is_taken(tmp_path):
    shard(tmp_path / "shard-1-0.npz", 64, 240, 0)
    stream = Stream(str(tmp_path), 1, 0, weights={"document": 3.0, "authentic": 0.0})
    batches = stream.batches()
    samples = [next(batches) for _ in range(60)]
    domains = np.concatenate([sample.domain for sample in samples])
    share = np.bincount(domains, minlength=4) / len(domains)
    assert not any(kind == "authentic" for sample in samples for kind in sample.kind)
    assert share[1] == pytest.approx(0.5, abs=0.06)
    assert share[0] == pytest.approx(1 / 6, abs=0.05)


def test_a_weight_may_be_of_a_kind_within_a_domain(tmp_path):
    shard(tmp_path / "shard-1-0.npz", 64, 240, 0)
    batches = Stream(str(tmp_path), 1, 0, weights={"document.authentic": 0.0}).batches()
    samples = [next(batches) for _ in range(60)]
    authentic = [
        DOMAINS[d] for one in samples for d, kind in zip(one.domain, one.kind, strict=True) if kind == "authentic"
    ]
    assert set(authentic) == set(DOMAINS) - {"document"}


def test_shards_that_were_used_enough_go_but_never_the_last(tmp_path):
    for seed in range(10):
        shard(tmp_path / f"shard-1-{seed}.npz", 64, 4, seed)
    stream = Stream(str(tmp_path), 0.25, 0, mixed=2, reuse=2)
    for _ in range(40):
        stream.take()
    assert len(list(tmp_path.glob("shard-*.npz"))) == 8


def test_named_parts_start_anew_and_the_rest_is_kept(tmp_path, shards, init):
    kept = torch.load(init, weights_only=True)["ema"]
    args = train.arguments(line(tmp_path / "run", shards, init, "--renew", "decoder", "score"))
    state = train.Training(args).model.state_dict()
    alike = {name: torch.equal(value, kept[name]) for name, value in state.items() if name.endswith("weight")}
    assert all(same for name, same in alike.items() if not name.startswith(("decoder.", "score.")))
    assert not alike["decoder.predict.weight"] and not alike["score.0.weight"]


def test_a_checkpoint_of_another_shape_needs_its_parts_named(tmp_path, shards, init):
    wider = '{"decoder_width": 24}'
    args = train.arguments(line(tmp_path / "run", shards, init, "--config", wider, "--renew", "score"))
    with pytest.raises(ValueError, match=r"does not fit in .*decoder"):
        train.Training(args)
    train.Training(
        train.arguments(
            line(tmp_path / "run", shards, init, "--config", wider, "--renew", "correlation", "decoder", "score")
        )
    )


def test_a_sample_without_a_gradient_is_left_out(tmp_path, shards, init, monkeypatch):
    training = train.Training(train.arguments(line(tmp_path / "run", shards, init)))
    before = {name: value.clone() for name, value in training.ema.items()}
    losses = training.losses
    monkeypatch.setattr(
        training, "losses", lambda sample, p: {name: value * torch.nan for name, value in losses(sample, p).items()}
    )
    training.step(next(Stream(str(shards), 0.25, seed=0).batches()))
    assert training.skipped == 1
    assert all(torch.equal(value, before[name]) for name, value in training.ema.items())
