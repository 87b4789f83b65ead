"""One word per idea: these are refused in the names that we give (style: the glossary; docs/architecture.md: why)."""

from pathlib import Path

from tests.architecture.source import defined, modules, words

# Refused as part of a name.
BANNED = {
    *("signal", "metric", "ack", "alarm", "mute", "snooze", "firing", "trigger", "severity", "receiver"),
    *("manager", "handler", "helper", "util", "utils"),
}
# Refused as a whole name: they say nothing.
EMPTY = {"service", "data", "info", "process"}
# Refused as a whole name unless it is a timedelta: seconds or milliseconds?
NEEDS_UNIT = {"timeout", "interval", "delay", "age"}

# Named by the class that they override.
OVERRIDDEN = {("service/webhooks/destination.py", "timeout")}

# Signals of the operating system are called that.
OS_SIGNALS = ("service/embedded/", "service/supervise.py", "service/app.py", "simulators/")
# Other people's words for other people's things: what pumps send, and a setting of NATS.
THEIRS = {"device_alarm": "alarm", "ack_wait": "ack"}


def problem(path: Path, name: str, annotation: str) -> str | None:
    spoken = set(words(name))
    banned = spoken & BANNED
    if path.name == "metrics.py":
        banned -= {"metric"}
    if str(path).startswith(OS_SIGNALS):
        banned -= {"signal"}
    banned -= {word for whole, word in THEIRS.items() if whole in "_".join(words(name))}
    if banned:
        return f"{name} says {', '.join(sorted(banned))}"
    plain = name.strip("_").lower()
    if plain in EMPTY:
        return f"{name} says nothing"
    if (str(path), name) in OVERRIDDEN:
        return None
    if plain in NEEDS_UNIT and "timedelta" not in annotation:
        return f"{name} has no unit"
    return None


def test_names_are_those_of_the_glossary() -> None:
    found = [
        f"{path}:{line}: {what}"
        for path in modules("service", "simulators")
        for name, line, annotation in defined(path)
        if (what := problem(path, name, annotation))
    ]
    assert not found, "\n".join(found)


def test_modules_are_named_by_the_glossary() -> None:
    named = [str(path) for path in modules("service", "simulators") if set(words(path.stem)) & (BANNED - {"metric"})]
    assert [path for path in named if path != "service/metrics.py"] == []
