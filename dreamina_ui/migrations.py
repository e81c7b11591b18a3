"""The ledger's history: numbered steps of portable SQL, never edited once released, only added to."""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE jobs (
            job_id VARCHAR(32) PRIMARY KEY,
            visitor_id VARCHAR(64),
            model_id VARCHAR(200) NOT NULL,
            api_origin VARCHAR(200) NOT NULL,
            inputs TEXT NOT NULL,
            size VARCHAR(60),
            state VARCHAR(20) NOT NULL,
            status VARCHAR(60),
            queue_position INTEGER,
            request_id VARCHAR(200),
            problem VARCHAR(40),
            detail TEXT,
            cost_usd DOUBLE PRECISION,
            cancel_requested_at DOUBLE PRECISION,
            cancel_outcome VARCHAR(20),
            created_at DOUBLE PRECISION NOT NULL,
            updated_at DOUBLE PRECISION NOT NULL,
            accepted_at DOUBLE PRECISION,
            started_at DOUBLE PRECISION,
            completed_at DOUBLE PRECISION,
            finished_at DOUBLE PRECISION,
            version INTEGER NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX jobs_request ON jobs (api_origin, request_id)",
        "CREATE INDEX jobs_visitor ON jobs (visitor_id, created_at)",
        "CREATE INDEX jobs_state ON jobs (state)",
        "CREATE INDEX jobs_law ON jobs (model_id, size, completed_at)",
        """
        CREATE TABLE outputs (
            job_id VARCHAR(32) NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
            output_index INTEGER NOT NULL,
            kind VARCHAR(10) NOT NULL,
            file_key VARCHAR(32) NOT NULL UNIQUE,
            state VARCHAR(10) NOT NULL,
            file_name VARCHAR(60),
            media_type VARCHAR(60),
            format VARCHAR(20),
            width INTEGER,
            height INTEGER,
            size_bytes BIGINT,
            sha256 VARCHAR(64),
            note TEXT,
            PRIMARY KEY (job_id, output_index)
        )
        """,
        """
        CREATE TABLE state_changes (
            job_id VARCHAR(32) NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
            version INTEGER NOT NULL,
            state VARCHAR(20) NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL,
            problem VARCHAR(40),
            PRIMARY KEY (job_id, version)
        )
        """,
    ),
)
