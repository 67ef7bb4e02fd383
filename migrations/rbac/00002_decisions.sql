-- +goose Up

-- Roles get an id, and the platform's own belong to the nil tenant. Every
-- tenant reads those; only a transaction that sees everything writes them.
ALTER TABLE rbac.bindings RENAME TO bindings_by_name;
ALTER TABLE rbac.roles RENAME TO roles_by_name;

CREATE TABLE rbac.roles (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL,
    name        text NOT NULL,
    title       text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    system      boolean NOT NULL DEFAULT false,
    permissions text[] NOT NULL,
    revision    bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT roles_name UNIQUE (tenant_id, name)
);

CREATE TABLE rbac.groups (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL,
    name        text NOT NULL,
    title       text NOT NULL DEFAULT '',
    description text NOT NULL DEFAULT '',
    revision    bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT groups_name UNIQUE (tenant_id, name)
);

CREATE TABLE rbac.members (
    tenant_id uuid NOT NULL,
    group_id  uuid NOT NULL REFERENCES rbac.groups ON DELETE CASCADE,
    user_id   uuid NOT NULL,
    PRIMARY KEY (group_id, tenant_id, user_id)
);
CREATE INDEX members_user ON rbac.members (tenant_id, user_id);

-- A scope is the tenant (neither unit nor resource), a unit, or a resource.
CREATE TABLE rbac.bindings (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL,
    user_id       uuid,
    group_id      uuid REFERENCES rbac.groups ON DELETE CASCADE,
    role_id       uuid NOT NULL REFERENCES rbac.roles ON DELETE CASCADE,
    deny          boolean NOT NULL DEFAULT false,
    unit_id       uuid,
    resource_type text NOT NULL DEFAULT '',
    resource_id   text NOT NULL DEFAULT '',
    expires_at    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    created_by    uuid,
    revision      bigint NOT NULL,
    CHECK ((user_id IS NULL) <> (group_id IS NULL)),
    CHECK ((resource_type = '') = (resource_id = '')),
    CHECK (unit_id IS NULL OR resource_type = ''),
    CONSTRAINT bindings_same UNIQUE NULLS NOT DISTINCT (tenant_id, user_id, group_id, role_id, deny, unit_id, resource_type, resource_id)
);
CREATE INDEX bindings_group ON rbac.bindings (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX bindings_role ON rbac.bindings (role_id, tenant_id);
CREATE INDEX bindings_tenant ON rbac.bindings (tenant_id, id);

-- What rbac knows of others' data and decides by, as of the tenant's revision.
-- source_revision is that of the state taken in.
CREATE TABLE rbac.tenants (
    tenant_id       uuid PRIMARY KEY,
    active          boolean NOT NULL,
    source_revision bigint NOT NULL
);
CREATE TABLE rbac.modules (
    tenant_id       uuid NOT NULL,
    name            text NOT NULL,
    enabled         boolean NOT NULL,
    source_revision bigint NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE rbac.units (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    parent_id       uuid,
    removed         boolean NOT NULL DEFAULT false,
    source_revision bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
-- Users who have, or had, bindings or memberships. Active ones that nothing
-- happened to may be missing.
CREATE TABLE rbac.users (
    tenant_id       uuid NOT NULL,
    user_id         uuid NOT NULL,
    suspended       boolean NOT NULL,
    source_revision bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX users_suspended ON rbac.users (tenant_id) WHERE suspended;

-- What modules declare; it belongs to no tenant. The platform's own is code.
CREATE TABLE rbac.permissions (
    code     text PRIMARY KEY,
    module   text NOT NULL,
    category text NOT NULL,
    title    text NOT NULL,
    risk     text NOT NULL
);
CREATE INDEX permissions_module ON rbac.permissions (module);

-- By which replicas see that they know of every change.
ALTER TABLE rbac.revisions ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX revisions_changed ON rbac.revisions (changed_at);

-- Roles that come with the product.
INSERT INTO rbac.roles (id, tenant_id, name, title, description, system, permissions, revision) VALUES
    ('00000000-0000-7000-8000-000000000001', '00000000-0000-0000-0000-000000000000', 'tenant-administrator',
     'Tenant administrator', 'Everything in the tenant, modules included.', true, '{*:**}', 1),
    ('00000000-0000-7000-8000-000000000002', '00000000-0000-0000-0000-000000000000', 'user-administrator',
     'User administrator', 'People, groups and role bindings; grants no more than they hold themselves.', true,
     '{users:*:tenant,groups:*:tenant,bindings:*:tenant,roles:read:tenant}', 1),
    ('00000000-0000-7000-8000-000000000003', '00000000-0000-0000-0000-000000000000', 'auditor',
     'Auditor', 'Reads the audit trail, people, roles and bindings; changes nothing.', true,
     '{audit:*:read,users:read:tenant,roles:read:tenant,groups:read:tenant,bindings:read:tenant}', 1);

-- What there was before, under new ids.
SELECT set_config('buildify.tenant', '*', true);
INSERT INTO rbac.roles (id, tenant_id, name, permissions, revision)
    SELECT gen_random_uuid(), r.tenant_id, r.name, r.permissions, v.revision
    FROM rbac.roles_by_name r JOIN rbac.revisions v USING (tenant_id);
INSERT INTO rbac.bindings (id, tenant_id, user_id, role_id, revision)
    SELECT gen_random_uuid(), b.tenant_id, b.user_id, r.id, v.revision
    FROM rbac.bindings_by_name b JOIN rbac.roles r ON r.tenant_id = b.tenant_id AND r.name = b.role
    JOIN rbac.revisions v ON v.tenant_id = b.tenant_id;
DROP TABLE rbac.bindings_by_name, rbac.roles_by_name;

-- +goose StatementBegin
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['groups', 'members', 'bindings', 'tenants', 'modules', 'units', 'users'] LOOP
        EXECUTE format('ALTER TABLE rbac.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE rbac.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY tenant ON rbac.%I
            USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'))$p$, name);
    END LOOP;
END $$;
-- +goose StatementEnd
ALTER TABLE rbac.roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE rbac.roles FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON rbac.roles
    USING (current_setting('buildify.tenant', true) IN (tenant_id::text, '*'));
CREATE POLICY platform ON rbac.roles FOR SELECT
    USING (tenant_id = '00000000-0000-0000-0000-000000000000'
        AND current_setting('buildify.tenant', true) <> '');

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN RAISE EXCEPTION 'roles and bindings of this version cannot be kept by the one before; restore a backup'; END $$;
-- +goose StatementEnd
