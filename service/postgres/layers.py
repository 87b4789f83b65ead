"""What is a limit for each pump, in a query? The layers of the rulebook as one parameter, and SQL that reads it."""

import msgspec

from service.core.change import Condition
from service.core.rulebook import Rulebook


def layers(rulebook: Rulebook, section: str, name: str) -> str:
    """The parameter for `limit_sql` or `site_limit_sql`: of JSON."""
    return msgspec.json.encode(rulebook.in_layers(section, name)).decode()


def silence_layers(rulebook: Rulebook) -> tuple[str, str]:
    """After how many intervals, and how many seconds at least, a pump is silent: two parameters for `limit_sql`."""
    return layers(rulebook, Condition.SILENCE, "after_intervals"), layers(rulebook, Condition.SILENCE, "at_least_s")


def limit_sql(parameter: str, pump: str = "p") -> str:
    """The limit in force of each row of the table `pump`: its own, its site's, its drug's or everybody's."""
    of = f"{parameter}::text::jsonb"
    return (
        f"coalesce({of} -> 'pump' ->> {pump}.pump_id, {of} -> 'site' ->> {pump}.site,"
        f" {of} -> 'drug_class' ->> {pump}.drug_class, {of} -> 'all' ->> '')::float8"
    )


def site_limit_sql(parameter: str, site: str) -> str:
    """The limit in force of a whole site; `site` is the SQL that names it."""
    return f"coalesce({parameter}::text::jsonb -> 'site' ->> {site}, {parameter}::text::jsonb -> 'all' ->> '')::float8"
