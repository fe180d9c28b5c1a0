-- Who may see what (access.py), by name: see queries.sql.

-- name: access_state
-- What the login may do, and which of the roles there are.
SELECT
    quote_ident(current_user) AS login,
    quote_ident(current_database()) AS database,
    (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) AS makes_roles,
    has_database_privilege(current_database(), 'CREATE') AS makes_schemas,
    ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%(roles)s)) AS roles,
    EXISTS (
        SELECT FROM pg_roles WHERE rolname = %(loader)s AND pg_has_role(current_user, oid, 'USAGE')
    ) AS is_loader,
    EXISTS (
        SELECT FROM pg_roles WHERE rolname = %(loader)s AND has_database_privilege(oid, current_database(), 'CREATE')
    ) AS loader_makes_schemas

-- name: own_schemas
-- Schemas that the login itself owns: they become the loader's.
SELECT n.nspname
FROM pg_namespace AS n
JOIN pg_roles AS o ON o.oid = n.nspowner
WHERE n.nspname = ANY(%(schemas)s) AND o.rolname = current_user AND o.rolname <> %(loader)s

-- name: own_relations
-- Tables, views and functions that the login itself owns. A sequence behind a column follows its table.
SELECT
    n.nspname,
    c.relname,
    CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_roles AS o ON o.oid = c.relowner
WHERE n.nspname = ANY(%(schemas)s) AND o.rolname = current_user AND o.rolname <> %(loader)s
  AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY 1, 2

-- name: own_functions
SELECT p.oid::regprocedure::text
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_roles AS o ON o.oid = p.proowner
WHERE n.nspname = ANY(%(schemas)s) AND o.rolname = current_user AND o.rolname <> %(loader)s

-- name: unreadable
-- What a role should be able to read in a schema and cannot, and whether what is made there later will be readable.
SELECT
    has_schema_privilege(%(role)s, n.oid, 'USAGE'),
    EXISTS (
        SELECT FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS a
        WHERE d.defaclnamespace = n.oid AND d.defaclobjtype = 'r'
          AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
          AND a.grantee = (SELECT oid FROM pg_roles WHERE rolname = %(role)s)
    ),
    ARRAY(
        SELECT c.relname::text FROM pg_class AS c
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm')
          AND NOT has_table_privilege(%(role)s, c.oid, 'SELECT')
        ORDER BY 1
    )
FROM pg_namespace AS n
WHERE n.nspname = %(schema)s

-- name: mart_columns
-- The tables and views of a schema with their columns: name, type, and the type's category.
SELECT
    c.relname,
    array_agg(a.attname::text ORDER BY a.attnum),
    array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
    array_agg(t.typcategory::text ORDER BY a.attnum)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname NOT LIKE '%%\_\_dbt\_%%'
GROUP BY c.relname
ORDER BY c.relname

-- name: masked_views
SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind = 'v'
