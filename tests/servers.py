"""Statements for the embedded PostgreSQL server itself."""

from __future__ import annotations

import asyncio

import asyncpg


def on_server(postgres: str, *statements: str) -> None:
    """Run statements on the server's own database."""

    async def run() -> None:
        connection = await asyncpg.connect(postgres.format("postgres"))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
