"""Fixed sets to measure on, forged from the development set's authentic images by other hands than training samples.

Nothing here shares a drawing, erasing, warping or blending step with document.py, face.py and scene_text.py: what is
shared is finding words in a picture, the saving of files, and (for photographs) whole.py's manipulations.
"""
