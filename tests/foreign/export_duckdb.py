#!/usr/bin/env python3
"""Reads what `cityhub export` wrote with DuckDB and pyarrow: export_duckdb.py FILE.csv FILE.parquet

Both files are of the same range; the program demands the same rows in both, with their types, and
prints what it counted. `pip install duckdb pyarrow`.
"""
import sys

import duckdb
import pyarrow.parquet

csv, parquet = sys.argv[1:]
schema = pyarrow.parquet.read_schema(parquet)
assert str(schema.field("time").type) == "timestamp[ms, tz=UTC]", schema
assert str(schema.field("device").type) == "string", schema
columns = "epoch_ms(time) t, device, kind, metric, value, unit, quality, epoch_ms(received) r, lon, lat, accuracy_m, locked"
of = {
    "csv": f"SELECT {columns} FROM read_csv('{csv}', types={{'locked': 'BOOLEAN', 'accuracy_m': 'DOUBLE', 'lon': 'DOUBLE', 'lat': 'DOUBLE'}})",
    "parquet": f"SELECT {columns} FROM read_parquet('{parquet}')",
}
counts = {name: duckdb.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0] for name, query in of.items()}
print(counts, pyarrow.parquet.read_table(parquet).num_rows)
assert counts["csv"] == counts["parquet"] > 0
for one, other in [("csv", "parquet"), ("parquet", "csv")]:
    left = duckdb.sql(f"SELECT count(*) FROM (({of[one]}) EXCEPT ALL ({of[other]}))").fetchall()[0][0]
    assert left == 0, f"{left} rows of the {one} are not in the {other}"
print(duckdb.sql(f"SELECT metric, count(*), min(value), max(value) FROM ({of['parquet']}) GROUP BY metric ORDER BY metric"))
