"""Tests mirror the modules, so that either is found from the other."""

from pathlib import Path

from tests.architecture.source import ROOT, imported_names, modules

# Tested through what uses them: over HTTP, through the role that calls them, or in a process of their own.
RUN_BY = {
    "service/api/alert_evidence.py": "tests/api/test_alerts.py",
    "service/api/alert_models.py": "tests/api/test_alerts.py",
    "service/api/context.py": "tests/api/test_gate.py",
    "service/api/out_of_service.py": "tests/api/test_care.py",
    "service/postgres/out_of_service.py": "tests/api/test_care.py",
    "service/api/cookies.py": "tests/api/test_sessions.py",
    "service/api/passwords.py": "tests/api/test_sessions.py",
    "service/postgres/changes.py": "tests/api/test_stream.py",
    "service/postgres/fleet_page.py": "tests/web/test_fleet_page.py",
    "service/postgres/open_alerts.py": "tests/web/test_alerts_page.py",
    "service/postgres/overview.py": "tests/web/test_board.py",
    "service/postgres/people.py": "tests/api/test_sessions.py",
    "service/api/direct.py": "tests/api/test_openapi.py",
    "service/api/endpoint_models.py": "tests/api/test_endpoints.py",
    "service/api/live.py": "tests/api/test_stream.py",
    "service/api/link_page.py": "tests/api/test_links.py",
    "service/api/pump_models.py": "tests/api/test_pumps.py",
    "service/api/versions.py": "tests/api/test_sites.py",
    "service/commands/alerts.py": "tests/api/test_burden.py",
    "service/commands/audit.py": "tests/postgres/test_chains.py",
    "service/commands/database.py": "tests/commands/test_token.py",
    "service/core/canary.py": "tests/journeys/test_canary.py",
    "service/loops/canary.py": "tests/journeys/test_canary.py",
    "service/postgres/canary.py": "tests/journeys/test_canary.py",
    "service/postgres/canary_rounds.py": "tests/journeys/test_canary.py",
    "service/webhooks/own.py": "tests/journeys/test_canary.py",
    "service/commands/drill.py": "tests/api/test_drills.py",
    "service/commands/deliveries.py": "tests/commands/test_endpoint.py",
    "service/core/evidence.py": "tests/core/test_sentences.py",
    "service/core/rules/holding.py": "tests/core/rules/test_device.py",
    "service/core/sentences_of_device.py": "tests/core/test_sentences.py",
    "service/core/sentences_of_service.py": "tests/core/test_sentences.py",
    "service/core/wording.py": "tests/core/test_sentences.py",
    "service/beginning.py": "tests/test_app.py",
    "service/mqtt/arrivals.py": "tests/mqtt/test_inbox.py",
    "service/postgres/alert_queries.py": "tests/api/test_alerts.py",
    "service/postgres/alert_rows.py": "tests/postgres/test_alerts.py",
    "service/postgres/burden.py": "tests/api/test_burden.py",
    "service/postgres/incidents.py": "tests/api/test_alerts.py",
    "service/postgres/batches.py": "tests/loops/test_ingest.py",
    "service/postgres/checkpoint.py": "tests/loops/test_recover.py",
    "service/postgres/deliveries.py": "tests/api/test_deliveries.py",
    "service/postgres/housekeeping.py": "tests/loops/test_maintain.py",
    "service/postgres/links.py": "tests/api/test_links.py",
    "service/postgres/batch_write.py": "tests/loops/test_refused.py",
    "service/postgres/shard_owners.py": "tests/commands/test_cluster.py",
    "service/postgres/putting.py": "tests/loops/test_refused.py",
    "service/postgres/aside.py": "tests/api/test_quarantine.py",
    "service/postgres/care.py": "tests/api/test_care.py",
    "service/postgres/exchanges.py": "tests/api/test_care.py",
    "service/postgres/health.py": "tests/api/test_health.py",
    "service/postgres/heartbeat.py": "tests/api/test_health.py",
    "service/postgres/imports.py": "tests/api/test_imports.py",
    "service/postgres/history.py": "tests/commands/test_backtest.py",
    "service/postgres/notification_rows.py": "tests/postgres/test_alerts.py",
    "service/postgres/boots.py": "tests/loops/test_boots.py",
    "service/postgres/repeating.py": "tests/loops/test_repeating.py",
    "service/loops/enrolment.py": "tests/loops/test_ingest.py",
    "service/postgres/rebuilds.py": "tests/loops/test_rebuild.py",
    "service/postgres/telling.py": "tests/postgres/test_escalations.py",
    "service/postgres/audits.py": "tests/api/test_audits.py",
    "service/postgres/idempotency.py": "tests/api/test_once.py",
    "service/postgres/export.py": "tests/api/test_export.py",
    "service/postgres/fleet.py": "tests/api/test_fleet.py",
    "service/postgres/site_entries.py": "tests/api/test_sites.py",
    "service/postgres/queries.py": "tests/api/test_readings.py",
    "service/postgres/seen.py": "tests/api/test_narrowed.py",
    "service/postgres/rulebooks.py": "tests/journeys/test_roles.py",
    "service/web/admin_deliveries.py": "tests/web/test_admin.py",
    "service/web/admin_endpoints.py": "tests/web/test_admin.py",
    "service/web/admin_forms.py": "tests/web/test_admin.py",
    "service/web/admin_frame.py": "tests/web/test_admin.py",
    "service/web/admin_people.py": "tests/web/test_admin.py",
    "service/web/admin_tokens.py": "tests/web/test_admin.py",
    "service/web/recording_forms.py": "tests/web/test_recording.py",
    "service/web/admin_endpoint_forms.py": "tests/web/test_admin.py",
    "service/web/admin_on_call.py": "tests/web/test_admin_setup.py",
    "service/web/admin_overrides.py": "tests/web/test_admin_setup.py",
    "service/web/admin_policies.py": "tests/web/test_admin_setup.py",
    "service/web/admin_preview.py": "tests/web/test_admin_setup.py",
    "service/web/admin_quarantine.py": "tests/web/test_admin_setup.py",
    "service/web/admin_registry.py": "tests/web/test_admin_setup.py",
    "service/web/alert_page.py": "tests/web/test_board.py",
    "service/web/alert_list.py": "tests/web/test_alerts_page.py",
    "service/web/answering.py": "tests/web/test_board.py",
    "service/web/desk.py": "tests/web/test_board.py",
    "service/web/fleet_table.py": "tests/web/test_fleet_page.py",
    "service/web/frame.py": "tests/web/test_board.py",
    "service/web/history_page.py": "tests/web/test_alerts_page.py",
    "service/web/keyed.py": "tests/web/test_alerts_page.py",
    "service/web/login_page.py": "tests/web/test_board.py",
    "service/web/mount.py": "tests/web/test_board.py",
    "service/web/pipeline_page.py": "tests/web/test_board.py",
    "service/web/pump_charts.py": "tests/web/test_pump_page.py",
    "service/web/tables.py": "tests/web/test_board.py",
    "service/web/told.py": "tests/web/test_cannot_answer.py",
    "simulators/__main__.py": "tests/simulators/test_cli.py",
    "simulators/way.py": "tests/simulators/test_generate.py",
    "service/__main__.py": "tests/test_cli.py",
    "service/commands/demo.py": "tests/journeys/test_demo.py",
    "service/commands/migrate.py": "tests/test_cli.py",
    "service/commands/run.py": "tests/test_supervise.py",
    "service/commands/up.py": "tests/test_supervise.py",
    "service/demo/board.py": "tests/journeys/test_demo.py",
    "service/demo/look.py": "tests/journeys/test_demo.py",
    "service/demo/show.py": "tests/journeys/test_demo.py",
    "service/demo/stage.py": "tests/journeys/test_demo.py",
    "service/embedded/leash.py": "tests/embedded/test_postgres.py",
    "service/supervise.py": "tests/test_supervise.py",
}


def mirror(module: Path) -> Path:
    """Where the test of a module is looked for first."""
    package, *folders, _ = module.parts
    return Path("tests", *([] if package == "service" else [package]), *folders, f"test_{module.name}")


def test_every_module_has_its_test() -> None:
    """Its mirror, or, where it is one of several that make sense only together, a test that imports it."""
    used = {name for test in modules("tests") for name in imported_names(test)}
    untested = [
        str(module)
        for module in modules("service", "simulators")
        if module.name != "__init__.py"
        and str(module) not in RUN_BY
        and not (ROOT / mirror(module)).is_file()
        and ".".join(module.with_suffix("").parts) not in used
    ]
    assert not untested, "\n".join(untested)


def test_the_exceptions_are_needed_and_their_tests_exist() -> None:
    for module, test in RUN_BY.items():
        assert (ROOT / module).is_file()
        assert (ROOT / test).is_file()
        assert not (ROOT / mirror(Path(module))).is_file() or str(mirror(Path(module))) == test


def test_files_stay_short_enough_to_be_read_at_once() -> None:
    long = {
        str(path): lines
        for path in modules("service", "simulators")
        if (lines := (ROOT / path).read_text().count("\n")) > 330
    }
    assert long == {}
