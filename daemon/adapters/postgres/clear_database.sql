-- Drops everything of a database but extensions and what belongs to them, which a plain owner may not make again.
-- Run it in the transaction that restores a dump: a dump knows nothing of the tables and keys that came after it.
SET lock_timeout = '30s';
SET client_min_messages = warning;
DO $resetd$
DECLARE
    doomed record;
    superuser boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
BEGIN
    -- These belong to no schema. Whoever may not drop them may not make them again, either.
    FOR doomed IN
        SELECT pubname FROM pg_publication WHERE superuser OR pg_has_role(pubowner, 'USAGE')
    LOOP
        EXECUTE format('DROP PUBLICATION %I', doomed.pubname);
    END LOOP;
    FOR doomed IN
        SELECT evtname FROM pg_event_trigger e WHERE superuser
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass
                            AND d.objid = e.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP EVENT TRIGGER %I', doomed.evtname);
    END LOOP;
    FOR doomed IN
        SELECT srvname FROM pg_foreign_server s WHERE (superuser OR pg_has_role(srvowner, 'USAGE'))
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_foreign_server'::regclass
                            AND d.objid = s.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP SERVER %I CASCADE', doomed.srvname);
    END LOOP;
    FOR doomed IN
        SELECT fdwname FROM pg_foreign_data_wrapper w WHERE superuser
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_foreign_data_wrapper'::regclass
                            AND d.objid = w.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP FOREIGN DATA WRAPPER %I CASCADE', doomed.fdwname);
    END LOOP;
    FOR doomed IN
        SELECT castsource::regtype AS source, casttarget::regtype AS target FROM pg_cast c
         WHERE superuser AND oid >= 16384 AND castsource < 16384 AND casttarget < 16384
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass
                            AND d.objid = c.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP CAST (%s AS %s)', doomed.source, doomed.target);
    END LOOP;
    -- A schema without extensions goes with all that it holds.
    FOR doomed IN
        SELECT nspname FROM pg_namespace n
         WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
           AND NOT EXISTS (SELECT FROM pg_extension x WHERE x.extnamespace = n.oid)
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass
                            AND d.objid = n.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', doomed.nspname);
    END LOOP;
    -- Of a schema that stays (public, and those that extensions live in) each object goes by itself. CASCADE takes what
    -- hangs on an object: the sequence of an identity column, the multirange of a range, the array of a type.
    FOR doomed IN
        SELECT CASE identity.type
                   WHEN 'table' THEN 'TABLE' WHEN 'view' THEN 'VIEW' WHEN 'materialized view' THEN 'MATERIALIZED VIEW'
                   WHEN 'sequence' THEN 'SEQUENCE' WHEN 'foreign table' THEN 'FOREIGN TABLE'
                   WHEN 'function' THEN 'FUNCTION' WHEN 'procedure' THEN 'PROCEDURE' WHEN 'aggregate' THEN 'AGGREGATE'
                   WHEN 'type' THEN CASE WHEN t.typtype = 'd' THEN 'DOMAIN' ELSE 'TYPE' END
                   WHEN 'operator' THEN 'OPERATOR' WHEN 'operator class' THEN 'OPERATOR CLASS'
                   WHEN 'operator family' THEN 'OPERATOR FAMILY'
                   WHEN 'collation' THEN 'COLLATION' WHEN 'conversion' THEN 'CONVERSION'
                   WHEN 'text search configuration' THEN 'TEXT SEARCH CONFIGURATION'
                   WHEN 'text search dictionary' THEN 'TEXT SEARCH DICTIONARY'
                   WHEN 'text search parser' THEN 'TEXT SEARCH PARSER'
                   WHEN 'text search template' THEN 'TEXT SEARCH TEMPLATE'
                   WHEN 'statistics object' THEN 'STATISTICS'
               END AS kind,
               identity.identity, object.classid, object.objid
          FROM (SELECT 'pg_class'::regclass AS classid, oid AS objid, relnamespace AS schema FROM pg_class
                 WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
                UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_proc
                           WHERE superuser OR oid NOT IN (SELECT evtfoid FROM pg_event_trigger)
                UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
                           WHERE typtype IN ('e', 'd', 'r') OR (typtype = 'b' AND typelem = 0)
                              OR (typtype = 'c' AND typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c'))
                UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
                UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace FROM pg_opfamily
                UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
                UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace FROM pg_conversion
                UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
                UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace FROM pg_ts_dict
                UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxnamespace FROM pg_statistic_ext
               ) AS object
          JOIN pg_namespace n ON n.oid = object.schema
          CROSS JOIN LATERAL pg_identify_object(object.classid, object.objid, 0) AS identity
          LEFT JOIN pg_type t ON object.classid = 'pg_type'::regclass AND t.oid = object.objid
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = object.classid
                            AND d.objid = object.objid AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
         ORDER BY object.classid <> 'pg_class'::regclass, object.objid
    LOOP
        -- An object before this one may have taken it along.
        IF (pg_identify_object(doomed.classid, doomed.objid, 0)).identity IS NOT NULL AND doomed.kind IS NOT NULL THEN
            EXECUTE format('DROP %s IF EXISTS %s CASCADE', doomed.kind, doomed.identity);
        END IF;
    END LOOP;
    CREATE SCHEMA IF NOT EXISTS public;
    PERFORM lo_unlink(oid) FROM pg_largeobject_metadata WHERE superuser OR pg_has_role(lomowner, 'USAGE');
END
$resetd$;
