#!/bin/sh
# Brings the schemas of Temporal's databases up to date; nothing happens where that is done already.
set -eu

for database in temporal temporal_visibility; do
  case "$database" in
    temporal) schema=temporal ;;
    *) schema=visibility ;;
  esac
  tool="temporal-sql-tool --plugin postgres12 --ep $POSTGRES_SEEDS --port $DB_PORT --user $POSTGRES_USER --database $database"
  $tool setup-schema --version 0.0 || echo "$database has a schema already"
  $tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
