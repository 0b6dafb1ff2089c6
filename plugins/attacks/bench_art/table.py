"""The attack table: every attack of ART that this suite offers."""

from __future__ import annotations

from bench_art import gradient_rows, query_rows
from bench_art.row import Row

ROWS: tuple[Row, ...] = gradient_rows.ROWS + query_rows.ROWS
BY_NAME: dict[str, Row] = {row.name: row for row in ROWS}
