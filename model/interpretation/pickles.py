"""Reads the pickled annotation files of public sets without executing anything from them.

    python -m interpretation.pickles FILE.pkl > annotations.json

A pickle is a program, and `pickle.load` runs whatever calls it names. This reader is a machine of its own that knows
only the opcodes that build plain values (None, bool, int, float, str, bytes, list, tuple, dict, set). GLOBAL, REDUCE,
BUILD, INST, OBJ, NEWOBJ, EXT and PERSID are not implemented, so there is nothing to import or to call; `pickletools`
only splits the bytes into opcodes. Memory is bounded: by the file's size, and by limits on depth and copies; so is what
a key costs to be hashed, which Python does by recursion in C.
"""

import argparse
import json
import pathlib
import pickletools
import sys
from collections.abc import Callable

LARGEST = 4 << 30  # bytes of a file
DEEPEST = 200  # levels of nesting
MOST = 200_000_000  # values
MOST_IN_KEY = 1000  # values of one key of a dict, or of one element of a set


class UnsafePickleError(ValueError):
    """The file asks for more than plain values, or is no pickle."""


class _Mark:
    """Where a list or tuple begins on the stack."""


MARK = _Mark()
CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
FRAMING = {"PROTO", "FRAME"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
PUTS, GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}


class _Machine:
    """A stack, a memo, and plain values."""

    def __init__(self):
        self.stack: list = []
        self.memo: dict[int, object] = {}
        self.count = 0
        self.steps: dict[str, Callable[[], None]] = {
            "MARK": lambda: self.push(MARK),
            "POP": lambda: self.pop() and None,
            "POP_MARK": lambda: self.since_mark() and None,
            "DUP": lambda: self.push(self.top()),
            "LIST": lambda: self.push(self.since_mark()),
            "TUPLE": lambda: self.push(tuple(self.since_mark())),
            "DICT": lambda: self.push(self.paired({}, self.since_mark())),
            "FROZENSET": lambda: self.push(self.hashed(frozenset, self.since_mark())),
            "APPEND": self.append,
            "APPENDS": self.appends,
            "SETITEM": self.set_item,
            "SETITEMS": self.set_items,
            "ADDITEMS": self.add_items,
            "MEMOIZE": lambda: self.memo.__setitem__(len(self.memo), self.top()),
        }

    def push(self, value: object) -> None:
        self.count += 1
        if self.count > MOST:
            raise UnsafePickleError(f"more than {MOST} values")
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack:
            raise UnsafePickleError("the stack is empty")
        return self.stack.pop()

    def top(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise UnsafePickleError("there is no value on the stack")
        return self.stack[-1]

    def since_mark(self) -> list:
        """Takes everything above the last mark, and the mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is MARK:
                values = self.stack[place + 1 :]
                del self.stack[place:]
                return values
        raise UnsafePickleError("there is no mark on the stack")

    def holder(self, kind: type) -> object:
        value = self.top()
        if type(value) is not kind:
            raise UnsafePickleError(f"a {kind.__name__} was expected, not a {type(value).__name__}")
        return value

    def hashed(self, make: Callable, values: list) -> object:
        """`make` of values that it hashes. A nested tuple's hash visits every copy of every part, whoever made it."""
        for value in values:
            if isinstance(value, tuple | frozenset):
                _bounded(value, MOST_IN_KEY)
        try:
            return make(values)
        except TypeError as error:
            raise UnsafePickleError(str(error)) from error

    def paired(self, target: dict, values: list) -> dict:
        if len(values) % 2:
            raise UnsafePickleError("a key without a value")
        self.hashed(lambda keys: target.update(zip(keys, values[1::2], strict=True)), values[::2])
        return target

    def append(self) -> None:
        value = self.pop()
        self.holder(list).append(value)

    def appends(self) -> None:
        values = self.since_mark()
        self.holder(list).extend(values)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.paired(self.holder(dict), [key, value])

    def set_items(self) -> None:
        values = self.since_mark()
        self.paired(self.holder(dict), values)

    def add_items(self) -> None:
        values = self.since_mark()
        self.hashed(self.holder(set).update, values)

    def step(self, name: str, argument: object) -> None:
        """One opcode; raises UnsafePickleError for any that could do more than build a plain value."""
        if name in FRAMING:
            return
        if name in CONSTANTS:
            self.push(CONSTANTS[name]())
        elif name in VALUES:
            self.push(argument)
        elif name in TUPLES:
            if len(self.stack) < TUPLES[name] or MARK in self.stack[-TUPLES[name] :]:
                raise UnsafePickleError("too few values for a tuple")
            values = [self.stack.pop() for _ in range(TUPLES[name])][::-1]
            self.push(tuple(values))
        elif name in PUTS:
            self.memo[int(argument)] = self.top()
        elif name in GETS:
            if int(argument) not in self.memo:
                raise UnsafePickleError(f"nothing was kept under {argument}")
            self.push(self.memo[int(argument)])
        elif name in self.steps:
            self.steps[name]()
        else:
            raise UnsafePickleError(f"opcode {name} could run code or import something; it is not read")


def loads(data: bytes) -> object:
    """The plain value that a pickle describes. Raises UnsafePickleError for anything else; executes nothing."""
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                value = machine.pop()
                if value is MARK or machine.stack:
                    raise UnsafePickleError("the program leaves more or less than one value")
                _bounded(value)
                return value
            machine.step(opcode.name, argument)
    except UnsafePickleError:
        raise
    except (ValueError, UnicodeDecodeError, OverflowError, IndexError) as error:  # what pickletools says of bad bytes
        raise UnsafePickleError(f"not a pickle: {error}") from error
    raise UnsafePickleError("the pickle has no end")


def load(path: pathlib.Path) -> object:
    """`loads` of a file."""
    if path.stat().st_size > LARGEST:
        raise UnsafePickleError(f"larger than {LARGEST} bytes")
    return loads(path.read_bytes())


def _bounded(value: object, most: int = 0) -> None:
    """Raises UnsafePickleError where the value, written out, would be endless, or more than `most` values (or MOST).

    A memo lets a few bytes name the same list many times over ("billion laughs") or a list hold itself.
    """
    waiting, seen, most = [(value, 0)], 0, most or MOST
    while waiting:
        one, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST:
            raise UnsafePickleError(f"nested deeper than {DEEPEST} levels, or holding itself")
        if seen > most:
            raise UnsafePickleError(f"more than {most} values when written out")
        if isinstance(one, dict):
            waiting += [(part, depth + 1) for pair in one.items() for part in pair]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += [(part, depth + 1) for part in one]


def plain(value: object) -> object:
    """The same as JSON can hold it: keys as strings, tuples and sets as lists, bytes as UTF-8 text."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def main() -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    args = parser.parse_args()
    try:
        json.dump(plain(load(args.file)), sys.stdout, ensure_ascii=False, indent=1)
    except UnsafePickleError as error:
        raise SystemExit(f"{args.file}: {error}") from error
    print()


if __name__ == "__main__":
    main()
