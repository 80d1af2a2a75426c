"""Omni-IML: one network that localizes manipulated pixels in photographs, documents, faces and scene text."""
