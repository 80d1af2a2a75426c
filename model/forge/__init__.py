"""Forging: training samples with known masks, made on the fly from a pool of pristine images."""

import os

# Forging runs one process a core; BLAS threads of several processes would only fight over them. Read at numpy's load.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
