-- Gives the superuser's objects of the connected database to the login :owner. Extensions and what is in them stay.
CREATE TEMPORARY VIEW superusers AS SELECT oid FROM pg_roles WHERE rolsuper;
CREATE TEMPORARY VIEW in_extensions AS SELECT classid, objid FROM pg_depend WHERE deptype = 'e';
CREATE TEMPORARY VIEW our_schemas AS
SELECT oid, nspname AS schema, nspowner FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND ('pg_namespace'::regclass, oid) NOT IN (TABLE in_extensions);

SELECT format('ALTER SCHEMA %I OWNER TO %I', schema, :'owner') FROM our_schemas WHERE nspowner IN (TABLE superusers) \gexec

SELECT format('ALTER TABLE %I.%I OWNER TO %I', schema, relname, :'owner')
FROM pg_class JOIN our_schemas ON our_schemas.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relowner IN (TABLE superusers)
    AND ('pg_class'::regclass, pg_class.oid) NOT IN (TABLE in_extensions)
    -- A column's sequence follows its table.
    AND NOT EXISTS (
        SELECT FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND relkind = 'S' AND deptype IN ('a', 'i')
    ) \gexec

SELECT format('ALTER ROUTINE %s OWNER TO %I', pg_proc.oid::regprocedure, :'owner')
FROM pg_proc JOIN our_schemas ON our_schemas.oid = pronamespace
WHERE proowner IN (TABLE superusers) AND ('pg_proc'::regclass, pg_proc.oid) NOT IN (TABLE in_extensions) \gexec

SELECT format('ALTER TYPE %I.%I OWNER TO %I', schema, typname, :'owner')
FROM pg_type JOIN our_schemas ON our_schemas.oid = typnamespace
WHERE typtype IN ('e', 'd', 'r') AND typowner IN (TABLE superusers)
    AND ('pg_type'::regclass, pg_type.oid) NOT IN (TABLE in_extensions) \gexec
