"""Where may notifications be sent? The rules for an endpoint's name and address."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

MAX_URL: Final = 2048
MAX_NAME: Final = 100


def endpoint_problems(name: str, url: str) -> list[tuple[str, str]]:
    """Return what is wrong, as (field, what); empty if the endpoint may be used.

    Plain http is for this machine only: a notification names a pump and what is wrong with it.
    """
    problems = []
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        problems.append(("name", f"must be 1 to {MAX_NAME} printable characters"))
    if wrong := _wrong_url(url):
        problems.append(("url", wrong))
    return problems


def _wrong_url(url: str) -> str:
    if len(url) > MAX_URL or not url.isprintable() or " " in url:
        return f"must be at most {MAX_URL} printable characters without blanks"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    wrong = ""
    if parts.scheme not in {"https", "http"} or not host:
        wrong = "must begin with https:// and name a host"
    elif parts.username is not None or parts.password is not None:
        wrong = "must not hold a user or password"
    elif parts.fragment:
        wrong = "must not have a #fragment"
    elif parts.scheme == "http" and not _is_this_machine(host):
        wrong = "must begin with https://; http:// is for a loopback address only"
    return wrong


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
