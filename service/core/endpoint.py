"""Where may notifications be sent, and in which form? The rules for everything that an endpoint can be told to be."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from service.core.address import NOTHING_ALLOWED, Allowed, why_refused
from service.core.change import Priority
from service.core.template import template_problem

MAX_URL: Final = 2048
MAX_NAME: Final = 100
MAX_TEMPLATE: Final = 10_000
ROUTING_KEY: Final = 32
MAX_REQUESTS: Final = 64
ANSWER_WITHIN_S: Final = (1.0, 30.0)


class Format(StrEnum):
    """In which form an endpoint is told."""

    PUMPWATCH = "pumpwatch"
    ALERTMANAGER = "alertmanager"
    SLACK = "slack"
    PAGERDUTY = "pagerduty"


def endpoint_problems(name: str, url: str, allowed: Allowed = NOTHING_ALLOWED) -> list[tuple[str, str]]:
    """Return what is wrong with the name and the address, as (field, what); empty if the endpoint may be used."""
    problems = []
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        problems.append(("name", f"must be 1 to {MAX_NAME} printable characters"))
    if wrong := _wrong_url(url, allowed):
        problems.append(("url", wrong))
    return problems


def settings_problems(given: Mapping[str, Any], *, has_routing_key: bool) -> list[tuple[str, str]]:
    """Likewise for how it is told. `given` holds any of the columns of `endpoint` that a person may set."""
    problems: list[tuple[str, str]] = []
    form, template = given.get("format"), given.get("template")
    if form is not None and form not in set(Format):
        problems.append(("format", f"there is no format {form}; there are {', '.join(Format)}"))
    elif form == Format.PAGERDUTY and not has_routing_key:
        problems.append(("routing_key", "PagerDuty needs the integration's routing key"))
    if template is not None:
        if form not in (None, Format.PUMPWATCH):
            problems.append(("template", f"either a template or the format {form}"))
        elif wrong := template_problem(template, MAX_TEMPLATE):
            problems.append(("template", wrong))
    if (priorities := given.get("priorities")) is not None and (wrong := _wrong_priorities(priorities)):
        problems.append(("priorities", wrong))
    within_s = given.get("answer_within_s")
    if within_s is not None and not ANSWER_WITHIN_S[0] <= within_s <= ANSWER_WITHIN_S[1]:
        problems.append(("answer_within_s", f"must be {ANSWER_WITHIN_S[0]:g} to {ANSWER_WITHIN_S[1]:g} seconds"))
    if (most := given.get("most_requests")) is not None and not 1 <= most <= MAX_REQUESTS:
        problems.append(("most_requests", f"must be 1 to {MAX_REQUESTS}"))
    key = given.get("routing_key")
    if key is not None and not (key.isalnum() and key.isascii() and len(key) == ROUTING_KEY):
        problems.append(("routing_key", f"must be the {ROUTING_KEY} letters and digits of an integration"))
    return problems


def _wrong_priorities(priorities: Collection[str]) -> str:
    unknown = [each for each in priorities if each not in set(Priority)]
    if unknown:
        return f"there is no priority {unknown[0]}; there are {', '.join(Priority)}"
    return "" if priorities else "an endpoint without priorities would never be told: disable it instead"


def _wrong_url(url: str, allowed: Allowed) -> str:
    if len(url) > MAX_URL or not url.isprintable() or " " in url:
        return f"must be at most {MAX_URL} printable characters without blanks"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    wrong = ""
    if parts.scheme not in {"https", "http"} or not host:
        wrong = "must begin with https:// and name a host"
    elif port == 0:
        wrong = "not a URL: no port is 0"
    elif parts.username is not None or parts.password is not None:
        wrong = "must not hold a user or password"
    elif parts.fragment:
        wrong = "must not have a #fragment"
    elif not allowed.names(host):
        wrong = _wrong_host(parts.scheme, host)
    return wrong


def _wrong_host(scheme: str, host: str) -> str:
    if scheme == "http":
        return "must begin with https://; http:// is for what PUMPWATCH_WEBHOOK_ALLOW names"
    reason = "a loopback address" if host.endswith("localhost") else why_refused(host)
    if reason in {"", "not an address"}:  # a name is judged when it is looked up, at every connection
        return ""
    return f"leads to {reason}, and PUMPWATCH_WEBHOOK_ALLOW does not name it"
