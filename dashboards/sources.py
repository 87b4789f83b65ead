"""Where do the panels ask? Two data sources, as deploy/grafana provisions them, and a query to each."""

from typing import Final, Literal

from grafana_foundation_sdk.builders.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import AnnotationQuery, DataSourceRef

DATABASE: Final = DataSourceRef("grafana-postgresql-datasource", "pumpwatch-database")
PROMETHEUS: Final = DataSourceRef("prometheus", "pumpwatch-prometheus")


class SqlQuery(Dataquery):
    """One query to the database, as Grafana's PostgreSQL data source has it; the SDK has no builder for it."""

    def __init__(self, sql: str, *, form: Literal["time_series", "table"], ref_id: str) -> None:
        self.sql, self.form, self.ref_id = _dense(sql), form, ref_id

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": DATABASE,
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.sql,
            "refId": self.ref_id,
        }


class Sql(Builder[SqlQuery]):
    """A builder of it. Rows of a `time_series` have a column `time`, in order."""

    def __init__(self, sql: str, *, form: Literal["time_series", "table"] = "time_series", ref_id: str = "A") -> None:
        self._query = SqlQuery(sql, form=form, ref_id=ref_id)

    def build(self) -> SqlQuery:
        return self._query


class SqlAnnotationQuery(AnnotationQuery):
    """Marks on every panel: rows of time, timeend, text and tags."""

    def __init__(self, name: str, sql: str, colour: str) -> None:
        super().__init__(name=name, datasource=DATABASE, icon_color=colour)
        self.sql = _dense(sql)

    def to_json(self) -> dict[str, object]:
        said = super().to_json()
        said["target"] = SqlQuery(self.sql, form="table", ref_id="Annotation").to_json()
        return said


class SqlAnnotation(Builder[AnnotationQuery]):
    def __init__(self, name: str, sql: str, colour: str) -> None:
        self._query = SqlAnnotationQuery(name, sql, colour)

    def build(self) -> AnnotationQuery:
        return self._query


def promql(expression: str, legend: str = "", *, ref_id: str = "A", at_once: bool = False) -> PrometheusQuery:
    """One query to Prometheus; `at_once` asks for the newest value alone."""
    query = PrometheusQuery().expr(_dense(expression)).legend_format(legend).ref_id(ref_id).datasource(PROMETHEUS)
    return query.instant() if at_once else query.range()


def _dense(text: str) -> str:
    """The text without its indentation in the source."""
    return " ".join(text.split())
