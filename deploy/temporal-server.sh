#!/bin/sh
# The server puts its password between double quotes in a YAML text of its own, where \ and " have to be escaped.
set -eu
POSTGRES_PWD=$(printf '%s' "$POSTGRES_PWD" | sed 's/[\\"]/\\&/g')
export POSTGRES_PWD
exec /etc/temporal/entrypoint.sh
