import os
import pickle
import pickletools

import pytest

from interpretation.pickles import UnsafePickleError, loads, plain

RECORDS = {
    "a.jpg": {"instances": [{"content": "a “face”", "bbox": [1, 2, 300, 70000], "area": 0.25}], "tampered": True},
    "b.png": None,
    ("a", 1): {"big": 2**80, "negative": -5, "bytes": b"\x00\xff", "words": {"x"}, "frozen": frozenset([3])},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_what_pickle_wrote_in_every_protocol(protocol):
    value = RECORDS
    if protocol < 4:  # sets are calls of a class there
        value = {name: record for name, record in RECORDS.items() if isinstance(name, str)}
    assert loads(pickle.dumps(value, protocol)) == value


def test_shared_values_stay_shared():
    one = ["x"]
    found = loads(pickle.dumps([one, one]))
    assert found[0] is found[1]


class Shell:
    """What an attacker pickles."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Plain:
    def __init__(self):
        self.x = 1


def crafted(tmp_path):
    path = tmp_path / "ran"
    yield pickle.dumps(Shell(path))
    yield pickle.dumps({"a.jpg": [Shell(path)]}, 0)
    yield pickle.dumps(Plain())
    yield f"cos\nsystem\n(S'touch {path}'\ntR.".encode()  # GLOBAL, REDUCE
    yield f"(S'touch {path}'\nios\nsystem\n.".encode()  # INST
    yield f"(cos\nsystem\nS'touch {path}'\no.".encode()  # OBJ
    yield b"\x80\x04\x8c\x02os\x8c\x06system\x93."  # STACK_GLOBAL
    yield b"\x80\x02\x82\x01."  # EXT1
    yield b"Pid\n."  # PERSID
    yield b"\x80\x02]}b."  # BUILD
    yield b"\x80\x05\x97."  # NEXT_BUFFER


def test_executes_nothing(tmp_path):
    for data in crafted(tmp_path):
        with pytest.raises(UnsafePickleError):
            loads(data)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Shell(tmp_path / "ran")))  # the same bytes do run elsewhere
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no pickle at all",
        b"\x80\x04",
        b".",
        b"(.",
        b"NN.",
        b"e.",
        b"]a.",
        b"N(Ne.",
        b"}(Nu.",
        b"}(]Nu.",
        b"\x80\x02h\x05.",
        b"\x80\x04\x8c\xff",
        b"I1x\n.",
        b"\x80\x02(N\x86.",
        b"\x80\x04\x8f(]\x90.",
    ],
)
def test_refuses_what_is_broken(data):
    with pytest.raises(UnsafePickleError):
        loads(data)


def test_refuses_what_never_ends():
    itself = []
    itself.append(itself)
    with pytest.raises(UnsafePickleError, match="holding itself"):
        loads(pickle.dumps(itself))
    deep = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(UnsafePickleError, match="nested deeper"):
        loads(pickle.dumps(deep))


def test_refuses_a_billion_laughs(monkeypatch):
    monkeypatch.setattr("interpretation.pickles.MOST", 10_000)
    laughs = "ha"
    for _ in range(9):
        laughs = [laughs] * 10
    data = pickle.dumps(laughs)
    assert len(data) < 500
    with pytest.raises(UnsafePickleError, match="values"):
        loads(data)


@pytest.mark.parametrize("use", [b"Ns.", b"\x90."])
def test_refuses_keys_that_no_hash_would_survive(use):
    holder = {b"Ns.": b"}", b"\x90.": b"\x8f("}[use]
    # The interpreter itself would run out of C's stack over the first, and would not end within hours over the second.
    deep = b"N" + b"\x85" * 1_000_000
    with pytest.raises(UnsafePickleError, match="nested deeper"):
        loads(b"\x80\x04" + holder + deep + use)
    laughs = b"N" + b"22\x87" * 40
    with pytest.raises(UnsafePickleError, match="values when written out"):
        loads(b"\x80\x04" + holder + laughs + use)


def test_knows_every_opcode_by_name():
    from interpretation import pickles

    names = {opcode.name for opcode in pickletools.opcodes}
    known = {*pickles.CONSTANTS, *pickles.VALUES, *pickles.FRAMING, *pickles.TUPLES, *pickles.PUTS, *pickles.GETS}
    assert known | set(pickles._Machine().steps) <= names
    dangerous = {"GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2"}
    assert not (known | set(pickles._Machine().steps)) & dangerous


def test_as_json():
    assert plain({("a", 1): (b"x\xff", {2, 1})}) == {"['a', 1]": ["x�", [1, 2]]}
