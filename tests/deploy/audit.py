"""Is something known to be wrong with what we ship? `python -m tests.deploy.audit`: exit code 1 for what is, and nobody
has accepted. Where nobody can be asked it says so, and that is all: then nothing is known, and nothing is proven.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "requirements.txt"
ACCEPTED: Final = ROOT / "deploy/accepted-vulnerabilities.toml"
ANSWERS_WITHIN_S: Final = 15
_AWAY: Final = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "HTTPError", "ServiceError", "SSLError")


class Verdict(NamedTuple):
    code: int
    text: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=LOCK, help="the pinned packages")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, help="what was looked at and is lived with")
    parser.add_argument("--osv-url", help="who is asked, instead of the public service")
    arguments = parser.parse_args()
    try:
        found = asked(arguments.lock, arguments.osv_url)
    except NotAskedError as error:
        sys.stdout.write(f"the audit could not be made: {error}\n")
        return 1
    verdict = judged(
        found,
        tomllib.loads(arguments.accepted.read_text(encoding="utf-8")).get("accepted", []),
        datetime.now(UTC).date(),
    )
    sys.stdout.write(f"{verdict.text}\n")
    return verdict.code


class NotAskedError(Exception):
    """The audit itself went wrong."""


def asked(lock: Path, osv_url: str | None) -> dict[str, Any] | str:
    """What the service knows of each package; or, in one line, why nobody answers. Raises NotAskedError."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip", "--no-deps"]
    command += [
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--vulnerability-service",
        "osv",
        "--timeout",
        str(ANSWERS_WITHIN_S),
    ]
    command += ["--osv-url", osv_url] if osv_url else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        if any(word in last for word in _AWAY):
            return last
        raise NotAskedError(last) from None
    return found


def judged(found: dict[str, Any] | str, accepted: Iterable[Mapping[str, Any]], today: date) -> Verdict:
    if isinstance(found, str):
        return Verdict(0, f"NOT AUDITED: nobody could be asked, so nothing is known of what we ship ({found[:120]}…)")
    until = {each["id"]: each["until"] for each in accepted}
    lines, code = [], 0
    audited = [package for package in found["dependencies"] if "skip_reason" not in package]
    skipped = [package["name"] for package in found["dependencies"] if "skip_reason" in package]
    for package in audited:
        for known in package["vulns"]:
            names = {known["id"], *known.get("aliases", ())}
            ends = max((until[name] for name in names & until.keys()), default=None)
            if ends is not None and today <= ends:
                lines.append(f"accepted until {ends}: {known['id']} of {package['name']} {package['version']}")
                continue
            code = 1
            fixed = ", ".join(known["fix_versions"]) or "no version yet"
            since = "" if ends is None else f", accepted until {ends} only"
            lines.append(f"VULNERABLE: {package['name']} {package['version']}: {known['id']}, fixed in {fixed}{since}")
    if skipped:
        lines.append(f"NOT AUDITED: {len(skipped)} packages that the service does not know: {', '.join(skipped)}")
    return Verdict(code, "\n".join([*lines, f"{len(audited)} packages audited"]))


if __name__ == "__main__":
    sys.exit(main())
