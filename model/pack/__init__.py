"""What a bare GPU machine needs to train here: prepared, unpacked, worked with, brought back. See GPU.md."""
