"""The ledger's tables, as the newest migration leaves them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

_KEYS = {
    "put_aside_at": "archived_at",
    "favourite_at": "favorite_at",
    "key_mark": "key_fingerprint",
    "address": "client_hash",
}
"""The names in the code of columns that have other names on disk."""


def _column(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, key=_KEYS.get(name, name))


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    *(
        _column(name, kind)
        for kind, names in {
            sa.String: "visitor_id model_id api_origin inputs size state status request_id problem detail "
            "cancel_outcome search_text address key_mark requester press_id replica_id",
            sa.Integer: "queue_position version",
            sa.Float: "cost_usd cancel_requested_at created_at updated_at accepted_at started_at completed_at "
            "finished_at put_aside_at reserved_usd armed_at",
        }.items()
        for name in names.split()
    ),
)
outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("output_index", sa.Integer, primary_key=True),
    *(
        _column(name, kind)
        for kind, names in {
            sa.String: "kind file_key state file_name media_type format sha256 note",
            sa.Integer: "width height rating colors",
            sa.BigInteger: "size_bytes",
            sa.Float: "favourite_at deleted_at",
        }.items()
        for name in names.split()
    ),
)
state_changes = sa.Table(
    "state_changes",
    metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("state", sa.String),
    sa.Column("changed_at", sa.Float),
    sa.Column("problem", sa.String),
)
controls = sa.Table(
    "controls",
    metadata,
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String),
    sa.Column("set_at", sa.Float),
)
batches = sa.Table(
    "batches",
    metadata,
    sa.Column("batch_id", sa.String, primary_key=True),
    *(
        _column(name, kind)
        for kind, names in {
            sa.String: "visitor_id address model_id api_origin key_mark state problem press_id layout request",
            sa.Float: "created_at changed_at price_usd",
            sa.BigInteger: "size_bytes",
        }.items()
        for name in names.split()
    ),
)
batch_items = sa.Table(
    "batch_items",
    metadata,
    sa.Column("batch_id", sa.String, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.String) for name in ("inputs", "state", "job_id", "problem")),
    *(sa.Column(name, sa.Integer) for name in ("row_index", "column_index")),
)
batch_values = sa.Table(
    "batch_values",
    metadata,
    sa.Column("batch_id", sa.String, primary_key=True),
    sa.Column("value_index", sa.Integer, primary_key=True),
    sa.Column("value", sa.String),
)
batch_retries = sa.Table(
    "batch_retries",
    metadata,
    *(sa.Column(name, sa.String, primary_key=True) for name in ("visitor_id", "press_id")),
    sa.Column("batch_id", sa.String),
    sa.Column("created_at", sa.Float),
)
boards = sa.Table(
    "boards",
    metadata,
    sa.Column("board_id", sa.String, primary_key=True),
    sa.Column("visitor_id", sa.String),
    sa.Column("name", sa.String),
    sa.Column("position", sa.Integer),
    sa.Column("created_at", sa.Float),
)
board_files = sa.Table(
    "board_files",
    metadata,
    sa.Column("board_id", sa.String, primary_key=True),
    sa.Column("file_key", sa.String, primary_key=True),
    sa.Column("added_at", sa.Float),
)
shares = sa.Table(
    "shares",
    metadata,
    sa.Column("share_id", sa.String, primary_key=True),
    *(sa.Column(name, sa.String) for name in ("visitor_id", "file_key", "board_id")),
    sa.Column("shows_prompt", sa.Integer),
    sa.Column("created_at", sa.Float),
)
budgets = sa.Table(
    "budgets",
    metadata,
    *(sa.Column(name, sa.String, primary_key=True) for name in ("scope", "api_origin", "owner")),
    sa.Column("day", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.Integer) for name in ("active", "made", "requested")),
    sa.Column("micro_usd", sa.BigInteger),
)
input_images = sa.Table(
    "input_images",
    metadata,
    sa.Column("input_key", sa.String, primary_key=True),
    *(sa.Column(name, sa.String) for name in ("visitor_id", "client_hash", "source_sha256", "extension")),
    *(sa.Column(name, sa.Integer) for name in ("width", "height")),
    sa.Column("size_bytes", sa.BigInteger),
    *(sa.Column(name, sa.Float) for name in ("created_at", "keep_until")),
)
job_inputs = sa.Table(
    "job_inputs",
    metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("input_key", sa.String, primary_key=True),
)
prompt_tools = sa.Table(
    "prompt_tools",
    metadata,
    *(sa.Column(name, sa.String, primary_key=True) for name in ("visitor_id", "kind", "name")),
    *(sa.Column(name, sa.String) for name in ("client_hash", "content")),
    sa.Column("set_at", sa.Float),
)
replicas = sa.Table(
    "replicas",
    metadata,
    sa.Column("replica_id", sa.String, primary_key=True),
    sa.Column("seen_at", sa.Float),
    sa.Column("role", sa.String),
)
duties = sa.Table(
    "duties",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("replica_id", sa.String),
    sa.Column("held_until", sa.Float),
)
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.String, primary_key=True),
    sa.Column("name", sa.String),
    sa.Column("expires_at", sa.Float),
)
login_attempts = sa.Table(
    "login_attempts",
    metadata,
    sa.Column("client", sa.String, primary_key=True),
    sa.Column("failures", sa.Integer),
    sa.Column("last_at", sa.Float),
)
known_browsers = sa.Table(
    "known_browsers",
    metadata,
    sa.Column("browser", sa.String, primary_key=True),
    sa.Column("seen_at", sa.Float),
)
own_keys = sa.Table(
    "own_keys",
    metadata,
    sa.Column("session_hash", sa.String, primary_key=True),
    *(_column(name, sa.String) for name in ("key_mark", "sealed")),
    sa.Column("used_at", sa.Float),
)
pace = sa.Table(
    "pace",
    metadata,
    sa.Column("api_origin", sa.String, primary_key=True),
    sa.Column("state", sa.String),
)
catalogs = sa.Table(
    "catalogs",
    metadata,
    sa.Column("api_origin", sa.String, primary_key=True),
    sa.Column("models", sa.String),
    sa.Column("read_at", sa.Float),
)
prices = sa.Table(
    "prices",
    metadata,
    sa.Column("api_origin", sa.String, primary_key=True),
    sa.Column("model_id", sa.String, primary_key=True),
    sa.Column("price", sa.String),
    sa.Column("read_at", sa.Float),
)
secrets = sa.Table("secrets", metadata, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.String))
file_totals = sa.Table(
    "file_totals",
    metadata,
    sa.Column("bucket", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.BigInteger) for name in ("files", "size_bytes", "removed_by_limit")),
)
state_totals = sa.Table(
    "state_totals",
    metadata,
    sa.Column("bucket", sa.Integer, primary_key=True),
    sa.Column("state", sa.String, primary_key=True),
    sa.Column("jobs", sa.BigInteger),
)
day_totals = sa.Table(
    "day_totals",
    metadata,
    sa.Column("api_origin", sa.String, primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True),
    *(
        sa.Column(name, sa.BigInteger)
        for name in (
            "jobs", "billed_jobs", "billed_micro_usd", "foreseen_micro_usd", "open_jobs", "open_micro_usd",
        )
    ),
)  # fmt: skip
visitor_totals = sa.Table(
    "visitor_totals",
    metadata,
    sa.Column("owner", sa.String, primary_key=True),
    sa.Column("api_origin", sa.String, primary_key=True),
    sa.Column("jobs", sa.BigInteger),
    sa.Column("micro_usd", sa.BigInteger),
    sa.Column("last_at", sa.Float),
)
TOTALS = (file_totals, state_totals, day_totals, visitor_totals)
"""The database's triggers write them, see `totals`: they stand behind the tables that they are about."""

ledger_version = sa.Table(
    "ledger_version", metadata, sa.Column("version", sa.Integer), sa.Column("readable_from", sa.Integer)
)
