-- Deletes all rows of one tenant and prints how many of each table: psql --set tenant=ID --file deploy/remove-tenant.sql
-- The login is the tables' owner. Portfolio runs stay, without the tenant's part in them, and so do audit records.
\set ON_ERROR_STOP on
BEGIN;
SELECT set_config('app.tenant_id', :'tenant', true) AS tenant;
DO $$ BEGIN
    IF EXISTS (SELECT FROM sync_run WHERE tenant_id = current_tenant() AND finished_at IS NULL) THEN
        RAISE EXCEPTION 'a run of this tenant has not ended; cancel it and wait until it has';
    END IF;
END $$;
-- The database keeps the current version of an item: from here on none is.
UPDATE inventory_item SET version_number = 0 WHERE tenant_id = :'tenant';
DELETE FROM drift_decision WHERE tenant_id = :'tenant';
DELETE FROM drift_finding WHERE tenant_id = :'tenant';
DELETE FROM baseline_gap WHERE tenant_id = :'tenant';
DELETE FROM baseline_collection WHERE tenant_id = :'tenant';
DELETE FROM baseline WHERE tenant_id = :'tenant';
DELETE FROM item_version_pin WHERE tenant_id = :'tenant';
DELETE FROM item_reference WHERE tenant_id = :'tenant';
DELETE FROM item_setting WHERE tenant_id = :'tenant';
DELETE FROM item_name WHERE tenant_id = :'tenant';
DELETE FROM unread_item WHERE tenant_id = :'tenant';
DELETE FROM reference_rules WHERE tenant_id = :'tenant';
DELETE FROM audited_object WHERE tenant_id = :'tenant';
DELETE FROM item_absence WHERE tenant_id = :'tenant';
DELETE FROM pending_item WHERE tenant_id = :'tenant';
DELETE FROM listed_page WHERE tenant_id = :'tenant';
DELETE FROM merged_wave WHERE tenant_id = :'tenant';
DELETE FROM staged_item WHERE tenant_id = :'tenant';
DELETE FROM sync_run_collection WHERE tenant_id = :'tenant';
DELETE FROM collection_coverage WHERE tenant_id = :'tenant';
DELETE FROM audit_log_position WHERE tenant_id = :'tenant';
DELETE FROM request_pace WHERE tenant_id = :'tenant';
DELETE FROM item_version WHERE tenant_id = :'tenant';
DELETE FROM inventory_item WHERE tenant_id = :'tenant';
DELETE FROM document WHERE tenant_id = :'tenant';
DELETE FROM portfolio_run_tenant WHERE tenant_id = :'tenant';
DELETE FROM sync_run WHERE tenant_id = :'tenant';
DELETE FROM tenant WHERE tenant_id = :'tenant';
-- Rules of access belong to no tenant; a session of none may delete them.
SELECT set_config('app.tenant_id', '', true) AS tenant;
DELETE FROM access_rule WHERE tenant_id = :'tenant';
COMMIT;
