-- Gives the role of role.sql the password that stands in the environment: `psql -f role.sql -f password.sql`.
\getenv password PUMPWATCH_GRAFANA_PASSWORD
ALTER ROLE pumpwatch_grafana PASSWORD :'password';
