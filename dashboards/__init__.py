"""The dashboards of Grafana as code: typed builders make the JSON beside them (`python -m dashboards.build`)."""
