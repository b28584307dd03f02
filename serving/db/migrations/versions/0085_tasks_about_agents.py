"""A task for a person may be about an agent that sells nothing any more: it belongs to no run.

Revision: 0085, after 0084.
"""

from alembic import op

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None

UP = (
    "ALTER TABLE journeys.task ALTER COLUMN run_id DROP NOT NULL",
    "ALTER TABLE journeys.task ALTER COLUMN consumer_id DROP NOT NULL",
    "ALTER TABLE journeys.task ADD COLUMN agent_id TEXT",
    "ALTER TABLE journeys.task ADD CONSTRAINT task_is_about_one CHECK"
    " ((run_id IS NULL) = (agent_id IS NOT NULL) AND (run_id IS NULL) = (consumer_id IS NULL))",
    "CREATE UNIQUE INDEX task_of_agent ON journeys.task (tenant_id, agent_id, step) WHERE agent_id IS NOT NULL",
)
DOWN = (
    "DROP INDEX journeys.task_of_agent",
    "DELETE FROM journeys.task WHERE agent_id IS NOT NULL",
    "ALTER TABLE journeys.task DROP CONSTRAINT task_is_about_one",
    "ALTER TABLE journeys.task DROP COLUMN agent_id",
    "ALTER TABLE journeys.task ALTER COLUMN consumer_id SET NOT NULL",
    "ALTER TABLE journeys.task ALTER COLUMN run_id SET NOT NULL",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
