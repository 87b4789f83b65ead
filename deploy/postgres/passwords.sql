-- Gives each role of roles.sql the password that stands in the environment: `psql -f roles.sql -f passwords.sql`.
\getenv ingest PUMPWATCH_INGEST_PASSWORD
\getenv watch PUMPWATCH_WATCH_PASSWORD
\getenv deliver PUMPWATCH_DELIVER_PASSWORD
\getenv api PUMPWATCH_API_PASSWORD
ALTER ROLE pumpwatch_ingest PASSWORD :'ingest';
ALTER ROLE pumpwatch_watch PASSWORD :'watch';
ALTER ROLE pumpwatch_deliver PASSWORD :'deliver';
ALTER ROLE pumpwatch_api PASSWORD :'api';
