"""Samples a second on one core, by domain: `python -m forge.bench --pool DIR`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from .pool import Pool
from .sample import DOMAINS, Forger


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--domain", choices=DOMAINS)
    options = parser.parse_args()
    forger = Forger(Pool(options.pool), options.size)
    for domain in (options.domain,) if options.domain else DOMAINS:
        started = time.process_time()
        forger.shard(0, 0, options.count, domain)
        print(f"{domain}: {options.count / (time.process_time() - started):.1f} samples a second of one core")


if __name__ == "__main__":
    main()
