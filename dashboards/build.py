"""Writes what Grafana and Prometheus read: `python -m dashboards.build [--check]`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import alerting, fleet, load, pipeline, pump, response

HERE: Final = Path(__file__).parent
DEPLOY: Final = HERE.parent / "deploy"
DASHBOARDS: Final[dict[str, Callable[[], Dashboard]]] = {
    "fleet": fleet.dashboard,
    "pump": pump.dashboard,
    "response": response.dashboard,
    "pipeline": pipeline.dashboard,
    "load": load.dashboard,
}


def texts() -> dict[Path, str]:
    """Return what each generated file should hold."""
    dashboards = {
        HERE / f"{name}.json": JSONEncoder(indent=2, ensure_ascii=False).encode(make().build()) + "\n"
        for name, make in DASHBOARDS.items()
    }
    return dashboards | {
        DEPLOY / "prometheus/pumpwatch.rules.yml": alerting.for_prometheus(),
        DEPLOY / "grafana/provisioning/alerting/pumpwatch.yaml": alerting.for_grafana(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not what the code makes")
    check = parser.parse_args().check
    made = texts()
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(made[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(HERE.parent)}: {'stale' if check else 'written'}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
