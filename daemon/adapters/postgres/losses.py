"""What a wipe takes with it and no migration makes again, read from the server's own catalog of dependencies."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.ports.errors import PermanentError
from schemas.facts import Loss
from schemas.reasons import Reason

# `gone` is what `DROP SCHEMA ... CASCADE` (or the drop of each of its tables) reaches: whatever depends on it, wherever
# that is. A member of an extension takes the extension with it, and the rule of a view takes the view.
_LOSSES = """
WITH RECURSIVE
home AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = %(schema)s),
me AS (SELECT oid, rolsuper FROM pg_roles
        WHERE rolname = CASE WHEN session_user = %(role)s THEN current_user ELSE %(role)s END),
gone(classid, objid, objsubid) AS (
    SELECT 'pg_namespace'::regclass::oid, oid, 0 FROM home WHERE %(whole)s
    UNION
    SELECT 'pg_class'::regclass::oid, c.oid, 0 FROM pg_class c JOIN home ON c.relnamespace = home.oid
     WHERE NOT %(whole)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = 'pg_class'::regclass
                        AND e.objid = c.oid)
    UNION
    SELECT more.* FROM gone g CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
         WHERE d.refclassid = g.classid AND d.refobjid = g.objid
           AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid)
        UNION ALL
        SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d
         WHERE d.classid = g.classid AND d.objid = g.objid AND d.objsubid = g.objsubid
           AND d.deptype IN ('i', 'e')
    ) more
),
lost AS (  -- but for what belongs to an extension, which is told as a whole
    SELECT DISTINCT classid, objid, objsubid FROM gone g
     WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = g.classid AND e.objid = g.objid)
),
relations AS (
    SELECT DISTINCT c.* FROM pg_class c JOIN lost ON lost.classid = 'pg_class'::regclass AND lost.objid = c.oid
     WHERE lost.objsubid = 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
),
functions AS (
    SELECT DISTINCT p.oid, p.pronamespace, p.proowner, p.proacl FROM pg_proc p
      JOIN lost ON lost.classid = 'pg_proc'::regclass AND lost.objid = p.oid
),
types AS (
    SELECT DISTINCT t.oid, t.typnamespace, t.typowner, t.typacl FROM pg_type t
      JOIN lost ON lost.classid = 'pg_type'::regclass AND lost.objid = t.oid
      LEFT JOIN pg_class c ON c.oid = t.typrelid
     WHERE t.typcategory <> 'A' AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype <> 'm'
),
acls AS (
    SELECT nspowner AS owner, nspacl AS acl, nspname = 'public' AS for_all FROM home WHERE %(whole)s
    UNION ALL SELECT relowner, relacl, false FROM relations
    UNION ALL SELECT r.relowner, a.attacl, false FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid
    UNION ALL SELECT proowner, proacl, true FROM functions
    UNION ALL SELECT typowner, typacl, true FROM types
),
outside(classid, objid, objsubid) AS (
    SELECT lost.* FROM lost JOIN pg_class c ON lost.classid = 'pg_class'::regclass AND lost.objid = c.oid
     WHERE c.relnamespace NOT IN (SELECT oid FROM home) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, 0 FROM functions WHERE pronamespace NOT IN (SELECT oid FROM home)
    UNION ALL
    SELECT 'pg_type'::regclass, oid, 0 FROM types WHERE typnamespace NOT IN (SELECT oid FROM home)
    UNION ALL
    SELECT lost.* FROM lost JOIN pg_constraint c ON lost.classid = 'pg_constraint'::regclass AND lost.objid = c.oid
     WHERE c.connamespace NOT IN (SELECT oid FROM home)
    UNION ALL
    SELECT lost.* FROM lost JOIN pg_attrdef a ON lost.classid = 'pg_attrdef'::regclass AND lost.objid = a.oid
      JOIN pg_class c ON c.oid = a.adrelid WHERE c.relnamespace NOT IN (SELECT oid FROM home)
    UNION ALL
    SELECT lost.* FROM lost JOIN pg_policy p ON lost.classid = 'pg_policy'::regclass AND lost.objid = p.oid
      JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace NOT IN (SELECT oid FROM home)
    UNION ALL
    SELECT lost.* FROM lost JOIN pg_trigger t ON lost.classid = 'pg_trigger'::regclass AND lost.objid = t.oid
      JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc f ON f.oid = t.tgfoid CROSS JOIN me
     WHERE NOT t.tgisinternal  -- one in the schema is somebody else's where its function is
       AND (c.relnamespace NOT IN (SELECT oid FROM home)
            OR (f.pronamespace NOT IN (SELECT oid FROM home) AND f.pronamespace <> 'pg_catalog'::regnamespace
                AND f.proowner <> me.oid))
    UNION ALL
    SELECT lost.* FROM lost WHERE lost.classid = 'pg_event_trigger'::regclass
)
SELECT 'extension ' || e.extname, NOT EXISTS (
           SELECT FROM pg_available_extensions a JOIN pg_available_extension_versions v
               ON v.name = a.name AND v.version = a.default_version
            WHERE a.name = e.extname AND (me.rolsuper OR
                  (coalesce((to_jsonb(v) ->> 'trusted')::boolean, false)
                   AND has_database_privilege(me.oid, current_database(), 'CREATE'))))
  FROM pg_extension e JOIN gone ON gone.classid = 'pg_extension'::regclass AND gone.objid = e.oid CROSS JOIN me
UNION
SELECT 'grants to ' || coalesce(r.rolname, 'PUBLIC'), true
  FROM acls CROSS JOIN me CROSS JOIN LATERAL aclexplode(acls.acl) granted
  LEFT JOIN pg_roles r ON r.oid = granted.grantee
 WHERE granted.grantee NOT IN (acls.owner, me.oid) AND NOT (granted.grantee = 0 AND acls.for_all)
   AND NOT coalesce(r.rolsuper, false) AND coalesce(r.rolname, '') <> 'pg_database_owner'
UNION
SELECT 'default privileges for ' || coalesce(r.rolname, 'PUBLIC'), true
  FROM pg_default_acl d JOIN home ON d.defaclnamespace = home.oid CROSS JOIN LATERAL aclexplode(d.defaclacl) granted
  LEFT JOIN pg_roles r ON r.oid = granted.grantee
 WHERE %(whole)s AND granted.grantee <> d.defaclrole AND NOT coalesce(r.rolsuper, false)
UNION
SELECT 'objects of ' || r.rolname, true
  FROM (SELECT relowner AS owner, relnamespace AS space FROM relations
        UNION ALL SELECT proowner, pronamespace FROM functions
        UNION ALL SELECT typowner, typnamespace FROM types) owned
  JOIN home ON home.oid = owned.space JOIN pg_roles r ON r.oid = owned.owner CROSS JOIN me
 WHERE owned.owner <> me.oid
UNION
SELECT named.type || ' ' || named.identity, true
  FROM outside CROSS JOIN LATERAL pg_identify_object(outside.classid, outside.objid, outside.objsubid) named
UNION
SELECT 'publication ' || p.pubname, true
  FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN relations ON relations.oid = r.prrelid
UNION
SELECT 'publication ' || p.pubname, true FROM pg_publication p JOIN pg_depend d
    ON d.refclassid = 'pg_publication'::regclass AND d.refobjid = p.oid
  JOIN lost ON lost.classid = d.classid AND lost.objid = d.objid
UNION
SELECT 'subscription ' || s.subname, true
  FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid JOIN relations ON relations.oid = r.srrelid
UNION
SELECT 'security labels', true
  FROM pg_seclabel l JOIN lost ON lost.classid = l.classoid AND lost.objid = l.objoid
 ORDER BY 1
"""


_KNOWN = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s)"


async def read_losses(
    connection: AsyncConnection[TupleRow], *, role: str, schema: str, whole: bool
) -> tuple[Loss, ...]:
    """Read what is lost when that role drops the schema (`whole`), or each table in it, and all that depends on it.

    Raises:
        PermanentError: `check-failed`: the server does not know the role, so that nobody can tell what it may do.
    """
    ((known,),) = await (await connection.execute(_KNOWN, {"role": role})).fetchall()
    if not known:
        raise PermanentError(
            Reason.CHECK_FAILED, f"the server has no role {role!r}, which the service's URL names"
        )
    rows = await (
        await connection.execute(_LOSSES, {"role": role, "schema": schema, "whole": whole})
    ).fetchall()
    return tuple(Loss(name=name, for_good=for_good) for name, for_good in rows)
