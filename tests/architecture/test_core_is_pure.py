"""The core may compute, and nothing else: no clock, no I/O, no threads, no logging, no chance."""

import ast

from tests.architecture.source import imported, modules, tree

CORE = modules("service/core")
# What turns data into data. Anything that is added here must be that.
ALLOWED_ROOTS = {
    *(
        "base64",
        "bisect",
        "collections",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "hashlib",
        "hmac",
        "itertools",
    ),
    *("json", "math", "operator", "re", "struct", "tomllib", "types", "typing", "uuid"),
    *("msgspec", "numpy"),
}
# Of these only the part that parses.
ALLOWED_MODULES = {"binascii", "csv", "email.utils", "html", "http", "io", "ipaddress", "urllib.parse"}
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
CHANCE = {"uuid1", "uuid4", "random", "default_rng"}
INPUT_AND_OUTPUT = {"open", "print", "input"}


def test_core_modules_import_only_what_computes() -> None:
    foreign = {
        f"{path}: {name}"
        for path in CORE
        for name in imported(path)
        if name.split(".")[0] not in ALLOWED_ROOTS | {"service"} and name not in ALLOWED_MODULES
    }
    assert not foreign, "\n".join(sorted(foreign))


def test_core_modules_never_ask_the_time_or_the_dice_or_the_disk() -> None:
    asked = set()
    for path in CORE:
        calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        attributes = {function.attr for function in calls if isinstance(function, ast.Attribute)}
        names = {function.id for function in calls if isinstance(function, ast.Name)}
        impure = (attributes | names) & (CLOCKS | CHANCE) | names & INPUT_AND_OUTPUT
        asked |= {f"{path}: {name}()" for name in impure}
    assert not asked, "\n".join(sorted(asked))
