"""Messages that no pump should send, each with the exact reason for which it must be kept aside.

Every kind has one fault in a message that is otherwise sound. The topics match `pumps/v1/+/+`, so that a broker hands
them on; none is larger than a broker lets through. It is one list, and long, since a kind of fault is a few lines.
"""

import json
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import msgspec

TELEMETRY, EVENT, STATUS = "telemetry", "event", "status"
PUMPS = 64
FIRST_MS = 1795376926000
LISTS = ("time_ms", "mode", "program_ml_d", "flow_ml_d", "reservoir_ml", "battery_v", "delivered_ul")
NUMBERS = LISTS[2:]
HIGHEST = {"program_ml_d": 100, "flow_ml_d": 100_000, "reservoir_ml": 100, "battery_v": 10, "delivered_ul": 1e9}

Keys = dict[str, Any]


class Fault(NamedTuple):
    """What is wrong: the payload, the reason, and the topic's last two levels where they are not the usual ones."""

    payload: bytes
    reason: str
    kind: str = TELEMETRY
    pump_id: str | None = None


FAULTS: list[Callable[[Random], Fault]] = []


def fault(make: Callable[[Random], Fault]) -> Callable[[Random], Fault]:
    FAULTS.append(make)
    return make


def malformed_messages(count: int, seed: int) -> Iterator[tuple[bytes, bytes, str]]:
    """Yield (topic, payload, reason) of `count` messages, each kind of fault in turn."""
    random = Random(seed)  # noqa: S311 the same messages each time, on purpose
    for number in range(count):
        payload, reason, kind, pump_id = FAULTS[number % len(FAULTS)](random)
        whose = f"malformed-{number % PUMPS}" if pump_id is None else pump_id
        yield f"pumps/v1/{whose}/{kind}".encode(), payload, reason


def readings(random: Random, count: int | None = None) -> Keys:
    """A sound message of `count` readings, or of a few."""
    count = count or random.randint(2, 8)
    seq = random.randrange(1000, 1 << 30)
    return {
        "boot": random.randrange(100),
        "seq": seq,
        "time_ms": [FIRST_MS + 60_000 * number for number in range(count)],
        "mode": ["running"] * count,
        "program_ml_d": [0.5] * count,
        "flow_ml_d": [round(random.gauss(0.5, 0.05), 4) for _ in range(count)],
        "reservoir_ml": [17.93] * count,
        "battery_v": [2.91] * count,
        "delivered_ul": [random.randrange(10**6) + 0.25] * count,
        "held_from": [0, seq],
        "simulated": True,
    }


def event(random: Random, **fields: object) -> Keys:
    seq = random.randrange(1000, 1 << 30)
    return {"boot": 3, "seq": seq, "time_ms": FIRST_MS, "held_from": [0, seq], "simulated": True, **fields}


def as_json(keys: object) -> bytes:
    return json.dumps(keys).encode()


def as_msgpack(keys: object) -> bytes:
    return msgspec.msgpack.encode(keys)


def either(random: Random, keys: object) -> bytes:
    return random.choice((as_json, as_msgpack))(keys)


def with_one(random: Random, names: tuple[str, ...], value: object) -> Keys:
    """A sound message but for one value somewhere in one of the lists `names`."""
    keys = readings(random)
    column = keys[random.choice(names)]
    column[random.randrange(len(column))] = value
    return keys


# What is no object at all.


@fault
def empty(_: Random) -> Fault:
    return Fault(b"", "truncated")


@fault
def cut_json(random: Random) -> Fault:
    whole = as_json(readings(random))
    cut = whole[: random.randrange(1, len(whole))]
    return Fault(cut.rstrip(b"."), "truncated")  # "0." would be a slip


@fault
def cut_msgpack(random: Random) -> Fault:
    whole = as_msgpack(readings(random))
    return Fault(whole[: random.randrange(1, len(whole))], "truncated")


@fault
def other_json(random: Random) -> Fault:
    return Fault(random.choice((b"[1, 2]", b"17", b'"telemetry"', b"null", b"  [{}]", b"true")), "not_an_object")


@fault
def noise(random: Random) -> Fault:
    return Fault(bytes([random.randrange(0xA0, 0xDE)]) + random.randbytes(random.randrange(500)), "not_an_object")


@fault
def only_nul(random: Random) -> Fault:
    return Fault(bytes(random.randrange(1, 100)), "not_an_object")


@fault
def json_with_a_slip(random: Random) -> Fault:
    sound = as_json(readings(random))
    wrong = (sound[:-1] + b",}", sound + b"}", sound.replace(b":", b"=", 1), sound.replace(b'"', b"'"), b"{" + sound)
    return Fault(random.choice(wrong), "malformed")


@fault
def msgpack_with_more_behind(random: Random) -> Fault:
    return Fault(as_msgpack(readings(random)) + b"\x00", "malformed")


@fault
def nan_as_json(random: Random) -> Fault:
    word = random.choice((math.nan, math.inf, -math.inf))
    return Fault(as_json(with_one(random, NUMBERS, word)), "malformed")  # JSON has no such number


@fault
def nul_in_json(random: Random) -> Fault:
    return Fault(as_json(readings(random)).replace(b"running", b"runn\x00ng"), "malformed")


@fault
def bad_utf8(random: Random) -> Fault:
    wrong = random.choice((b"runn\xffng", b"run\xc3\x28ng", b"ru\xed\xa0\x80ng"))
    return Fault(either(random, readings(random)).replace(b"running", wrong, 1), "bad_encoding")


@fault
def nested_without_end(random: Random) -> Fault:
    opening = random.choice((b"[", b'{"a":'))
    return Fault(as_json(readings(random))[:-1] + b', "x": ' + opening * 5000, "too_deep")


@fault
def nested_msgpack(_: Random) -> Fault:
    return Fault(b"\x81\xa1x" + b"\x91" * 5000, "too_deep")


# An object with other keys or other types.


@fault
def missing_key(random: Random) -> Fault:
    keys = readings(random)
    del keys[random.choice(("boot", "seq", "held_from", *LISTS[:-1]))]
    return Fault(either(random, keys), "missing_key")


@fault
def nothing_in_it(random: Random) -> Fault:
    return Fault(random.choice((b"{}", b"\x80")), "missing_key", random.choice((TELEMETRY, EVENT, STATUS)))


@fault
def text_for_a_number(random: Random) -> Fault:
    return Fault(either(random, with_one(random, NUMBERS, "0.5")), "wrong_type")


@fault
def boolean_for_a_number(random: Random) -> Fault:
    return Fault(either(random, with_one(random, (*NUMBERS, "time_ms"), random.choice((True, False)))), "wrong_type")


@fault
def null_for_a_number(random: Random) -> Fault:
    return Fault(either(random, with_one(random, LISTS, None)), "wrong_type")


@fault
def fraction_for_an_integer(random: Random) -> Fault:
    return Fault(either(random, readings(random) | {random.choice(("boot", "seq")): 7.5}), "wrong_type")


@fault
def scalar_for_a_list(random: Random) -> Fault:
    return Fault(either(random, readings(random) | {random.choice(LISTS): 1}), "wrong_type")


@fault
def garbage_for_a_list(random: Random) -> Fault:
    garbage = random.choice(({"a": [{"b": [[[None]]]}]}, [[[[]]], {}], [{"time_ms": [1]}]))
    return Fault(either(random, readings(random) | {random.choice(LISTS): garbage}), "wrong_type")


@fault
def held_from_of_another_shape(random: Random) -> Fault:
    return Fault(either(random, readings(random) | {"held_from": random.choice(([1], [1, 2, 3], 7, {}))}), "wrong_type")


@fault
def event_as_telemetry(random: Random) -> Fault:
    return Fault(either(random, event(random, type="mri_began")), "wrong_type")


@fault
def telemetry_as_event(random: Random) -> Fault:
    return Fault(either(random, readings(random)), "missing_key", EVENT)


@fault
def status_of_another_type(random: Random) -> Fault:
    return Fault(either(random, {"online": random.choice(("yes", 1, None, []))}), "wrong_type", STATUS)


# Values that cannot be.


@fault
def not_finite(random: Random) -> Fault:
    return Fault(as_msgpack(with_one(random, NUMBERS, random.choice((math.nan, math.inf, -math.inf)))), "not_finite")


@fault
def too_great_for_a_float(random: Random) -> Fault:
    keys = with_one(random, NUMBERS, "HUGE")
    return Fault(as_json(keys).replace(b'"HUGE"', random.choice((b"1e999", b"-1e400", b"9" * 400))), "out_of_range")


@fault
def huge_integer(random: Random) -> Fault:
    keys = readings(random) | {random.choice(("boot", "seq")): 10 ** random.choice((13, 20, 100))}
    return Fault(as_json(keys), "out_of_range")


@fault
def negative_position(random: Random) -> Fault:
    return Fault(either(random, readings(random) | {random.choice(("boot", "seq")): -1}), "out_of_range")


@fault
def sequence_past_its_end(random: Random) -> Fault:
    return Fault(either(random, readings(random, 3) | {"seq": (1 << 40) - 2}), "out_of_range")


@fault
def time_outside_the_calendar(random: Random) -> Fault:
    return Fault(either(random, with_one(random, ("time_ms",), random.choice((-1, 253402300800000)))), "out_of_range")


@fault
def negative(random: Random) -> Fault:
    return Fault(either(random, with_one(random, NUMBERS, -random.uniform(1e-9, 1e6))), "out_of_range")


@fault
def too_high(random: Random) -> Fault:
    name = random.choice(NUMBERS)
    return Fault(
        either(random, with_one(random, (name,), HIGHEST[name] * random.choice((1.0001, 7, 1e30)))), "out_of_range"
    )


@fault
def event_out_of_range(random: Random) -> Fault:
    return Fault(either(random, event(random, type="refill", reservoir_after_ml=-3)), "out_of_range", EVENT)


@fault
def time_backwards(random: Random) -> Fault:
    keys = readings(random)
    at = random.randrange(1, len(keys["time_ms"]))
    keys["time_ms"][at] = keys["time_ms"][at - 1] - random.randrange(1, 10**9)
    return Fault(either(random, keys), "time_backwards")


@fault
def forgotten_before_it_was_sent(random: Random) -> Fault:
    keys = readings(random)
    keys["held_from"] = random.choice(([keys["boot"] + 1, 0], [keys["boot"], keys["seq"] + len(keys["mode"])]))
    return Fault(either(random, keys), "held_from_ahead")


# Columns that do not fit together.


@fault
def unequal_columns(random: Random) -> Fault:
    keys = readings(random)
    column = keys[random.choice(LISTS)]
    random.choice((column.pop, column.clear, lambda: column.append(column[-1])))()
    return Fault(either(random, keys), "unequal_columns")


@fault
def empty_columns(random: Random) -> Fault:
    keys = readings(random)
    return Fault(either(random, keys | {name: [] for name in LISTS}), "no_readings")


@fault
def two_hundred_kibibytes(random: Random) -> Fault:
    keys = readings(random, 4200)
    del keys["delivered_ul"]
    return Fault(as_json(keys | {"flow_ml_d": [0.5] * 4200}), "too_many_readings")


# Words that nobody knows.


@fault
def unknown_mode(random: Random) -> Fault:
    mode = random.choice(("walking", "RUNNING", "", "run\x00ning", "running ", "läuft"))
    return Fault(either(random, with_one(random, ("mode",), mode)), "unknown_mode")


@fault
def unknown_event(random: Random) -> Fault:
    return Fault(either(random, event(random, type=random.choice(("exploded", "", "Refill")))), "unknown_event", EVENT)


@fault
def unknown_code(random: Random) -> Fault:
    wrong = random.choice(
        (
            {"type": "device_alarm_raised", "code": "gremlins"},
            {"type": "started", "reason": "because"},
            {"type": "bolus_denied", "dose_ul": 50, "reason": "power_on"},
        )
    )
    return Fault(either(random, event(random, **wrong)), "unknown_code", EVENT)


# Topics of nobody.


@fault
def bad_pump_id(random: Random) -> Fault:
    pump_id = random.choice(("p!1", "p~1", "pümpe", "a" * 65, "p=1", "p'1", "p:1"))
    return Fault(either(random, readings(random)), "bad_topic", pump_id=pump_id)


@fault
def unknown_kind(random: Random) -> Fault:
    return Fault(either(random, readings(random)), "unknown_kind", random.choice(("command", "Telemetry", "receipt")))
