-- The logins and databases of docker-compose.yml. It runs at each start: existing data stays, passwords are set again.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\getenv owner_password INVENTORY_OWNER_PASSWORD
\getenv worker_password INVENTORY_WORKER_PASSWORD
\getenv temporal_password TEMPORAL_PASSWORD

-- The server's log must not show a password of a statement.
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
SET log_statement = none;

-- Temporal encodes its password for a query string, where a space becomes "+"; its driver does not turn that back.
SELECT :'temporal_password' ~ '\s' AS temporal_password_has_space \gset
\if :temporal_password_has_space
DO $$ BEGIN RAISE EXCEPTION 'TEMPORAL_PASSWORD has a space, which Temporal cannot send; choose one without'; END $$;
\endif

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY[
    'inventory_owner', 'inventory_worker', 'temporal', 'tenant_inventory_worker', 'tenant_inventory_portfolio'
]) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE tenant_inventory_worker NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
ALTER ROLE tenant_inventory_portfolio NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
ALTER ROLE inventory_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
ALTER ROLE inventory_worker LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'worker_password';
ALTER ROLE temporal LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'temporal_password';
GRANT tenant_inventory_worker, tenant_inventory_portfolio TO inventory_owner, inventory_worker WITH INHERIT FALSE;

SELECT format('CREATE DATABASE %I', name)
FROM unnest(ARRAY['tenant_inventory', 'temporal', 'temporal_visibility']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec

ALTER DATABASE tenant_inventory OWNER TO inventory_owner;
ALTER DATABASE temporal OWNER TO temporal;
ALTER DATABASE temporal_visibility OWNER TO temporal;
REVOKE ALL ON DATABASE tenant_inventory, temporal, temporal_visibility FROM PUBLIC;
GRANT CONNECT ON DATABASE tenant_inventory TO inventory_worker;

-- In earlier releases the superuser owned everything.
\set owner inventory_owner
\connect tenant_inventory
\ir owner.sql
\set owner temporal
\connect temporal
\ir owner.sql
\connect temporal_visibility
\ir owner.sql
