"""What people leave in a service's database, so that a reset has something to undo.

For each service it is rows of users, a changed or deleted row of the system, and a table that no migration knows.
"""

from __future__ import annotations

import psycopg

_OWN_TABLE = """
CREATE TABLE IF NOT EXISTS scratch_notes (id SERIAL PRIMARY KEY, note TEXT NOT NULL);
DELETE FROM scratch_notes;
INSERT INTO scratch_notes (note) VALUES ('kept by a person'), ('unknown to any migration');
"""

_STATEMENTS = {
    "los-core-api": """
        DELETE FROM roles WHERE code = 'viewer';
        UPDATE queues SET priority = 99 WHERE code = 'intake';
        INSERT INTO users (email, full_name, role_code) VALUES
            ('dana@client.example', 'Dana Client', 'admin'),
            ('eli@client.example', 'Eli Client', 'processor') ON CONFLICT DO NOTHING;
        INSERT INTO loans (borrower, amount, queue_code) VALUES ('Real Borrower', 321000, 'intake');
    """,
    "los-integrations": """
        DELETE FROM system_configs WHERE integration_code = 'docusign' AND key = 'envelope.days';
        UPDATE system_configs SET value = 'https://changed.example'
            WHERE integration_code = 'hubspot' AND key = 'endpoint';
        INSERT INTO user_mappings (integration_code, user_email, external_id) VALUES
            ('hubspot', 'dana@client.example', 'crm-17'), ('quickbooks', 'eli@client.example', 'qb-4');
        INSERT INTO credentials (integration_code, owner_email, secret) VALUES
            ('docusign', 'dana@client.example', 'users-own-secret');
    """,
    "sequence-builder-api": """
        DELETE FROM sequence_steps WHERE sequence_code = 'welcome' AND position = 2;
        INSERT INTO sequences (code, title) VALUES ('own-sequence', 'Of a user') ON CONFLICT DO NOTHING;
    """,
    "ui-builder-api": """
        UPDATE components SET kind = 'broken' WHERE code = 'rate-chart';
        DELETE FROM components WHERE code = 'loan-form';
        INSERT INTO components (code, kind) VALUES ('own-component', 'card') ON CONFLICT DO NOTHING;
    """,
    "workflow-api": """
        DELETE FROM workflow_nodes WHERE workflow_code = 'closing' AND node = 'sign';
        INSERT INTO workflows (code, title) VALUES ('own-workflow', 'Of a user') ON CONFLICT DO NOTHING;
        INSERT INTO workflow_runs (workflow_code, outcome) VALUES ('closing', 'succeeded');
    """,
    "data-builder-api": """
        DELETE FROM tags WHERE name = 'compliance';
        INSERT INTO tags (name, color) VALUES ('own-tag', 'pink') ON CONFLICT DO NOTHING;
        UPDATE version_info SET version = '0.0.0' WHERE component = 'core';
    """,
}


def dirty(url: str, service: str) -> None:
    """Dirty a service's database in one transaction.

    `url` is the service's `DATABASE_URL`; the database is migrated and seeded.

    Raises:
        psycopg.Error: the database is not migrated.
    """
    with psycopg.connect(url.partition("?")[0]) as connection:
        connection.execute((_STATEMENTS[service] + _OWN_TABLE).encode())
