"""Tests mirror the modules, so that either is found from the other."""

from tests.architecture.source import ROOT, modules

# Tested where they are used, because alone they say nothing.
COVERED_ELSEWHERE = {
    "service/__main__.py": "tests/test_cli.py",
    "service/exits.py": "tests/test_cli.py",
    "service/metrics.py": "tests/api/test_health.py",
    "service/core/change.py": "tests/core/test_alert.py",
    "service/core/evidence.py": "tests/core/test_evaluate.py",
    "service/core/limits.py": "tests/core/test_rulebook.py",
    "service/core/state.py": "tests/core/test_evaluate.py",
    "service/postgres/batches.py": "tests/loops/test_recover.py",
    "service/postgres/checkpoint.py": "tests/loops/test_recover.py",
    "service/postgres/heartbeat.py": "tests/api/test_health.py",
    "service/postgres/ingest_store.py": "tests/loops/test_recover.py",
    "service/postgres/rulebooks.py": "tests/test_app.py",
    "service/ports.py": "tests/architecture/test_imports.py",
    "service/embedded/child.py": "tests/embedded/test_postgres.py",
    "service/embedded/leash.py": "tests/embedded/test_postgres.py",
    "service/postgres/alert_rows.py": "tests/postgres/test_alerts.py",
    "service/postgres/watchtower.py": "tests/loops/test_watch.py",
    "service/commands/run.py": "tests/test_supervise.py",
    "service/commands/up.py": "tests/test_supervise.py",
    "service/commands/migrate.py": "tests/test_cli.py",
    "service/commands/demo.py": "tests/journeys/test_demo.py",
    "simulators/__main__.py": "tests/simulators/test_cli.py",
    "simulators/plan.py": "tests/simulators/test_run.py",
    "service/commands/database.py": "tests/commands/test_token.py",
    "service/api/app.py": "tests/api/test_openapi.py",
    "service/api/context.py": "tests/api/test_gate.py",
    "service/api/alert_models.py": "tests/api/test_alerts.py",
    "service/api/pump_models.py": "tests/api/test_pumps.py",
    "service/postgres/alert_queries.py": "tests/api/test_alerts.py",
    "service/postgres/endpoints.py": "tests/api/test_endpoints.py",
    "service/postgres/health.py": "tests/api/test_health.py",
    "service/postgres/queries.py": "tests/api/test_pumps.py",
}


def expected_test(module: str) -> str:
    package, _, rest = module.partition("/")
    folder, _, name = rest.rpartition("/")
    root = "tests" if package == "service" else f"tests/{package}"
    return "/".join(part for part in (root, folder, f"test_{name}") if part)


def test_every_module_has_its_test() -> None:
    alone = {str(path) for path in modules("service", "simulators") if path.name != "__init__.py"}
    missing = {
        module for module in alone if not (ROOT / COVERED_ELSEWHERE.get(module, expected_test(module))).is_file()
    }
    assert not missing, "\n".join(sorted(missing))


def test_the_exceptions_still_exist() -> None:
    assert [module for module in COVERED_ELSEWHERE if not (ROOT / module).is_file()] == []


def test_files_stay_short_enough_to_be_read_at_once() -> None:
    long = {
        str(path): lines
        for path in modules("service", "simulators")
        if (lines := (ROOT / path).read_text().count("\n")) > 330
    }
    assert long == {}
