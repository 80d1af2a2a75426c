"""The closed sets that annotations, the network and the words made of them share. Order is part of the contract."""

# The artifact titles of Omni-273k, as this project closes the set.
TITLES = (
    "edge",
    "lighting",
    "noise",
    "resolution",
    "compression",
    "texture",
    "alignment",
    "font",
    "colour",
    "repetition",
    "geometry",
    "semantics",
)
# What a person would call the manipulation. The forge knows finer ones; KIND_OF says which belong together.
KINDS = (
    "splice",
    "copy_move",
    "removal",
    "local_edit",
    "generated",
    "text_replace",
    "text_insert",
    "text_erase",
    "mark_insert",
    "face_swap",
    "retouch",
)
# Grouped where the picture cannot tell the forge's kinds apart. Text that is laid over a word, whether typeset anew,
# copied from the same page or cut from another one, replaces it. A self-blended face (Shiohara and Yamasaki 2022) and
# single features of another face stand for face swaps.
KIND_OF = {
    "splice": "splice",
    "copy_move": "copy_move",
    "removal": "removal",
    "local_edit": "local_edit",
    "generated": "generated",
    "text_replace": "text_replace",
    "text_copy": "text_replace",
    "text_splice": "text_replace",
    "text_swap": "text_replace",
    "text_insert": "text_insert",
    "text_erase": "text_erase",
    "mark_insert": "mark_insert",
    "face_swap": "face_swap",
    "self_blend": "face_swap",
    "feature_swap": "face_swap",
    "retouch": "retouch",
}
DOMAINS = ("natural", "document", "face", "scene_text")
