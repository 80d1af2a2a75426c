"""Forging: training samples with known masks, made on the fly from a pool of pristine images."""
