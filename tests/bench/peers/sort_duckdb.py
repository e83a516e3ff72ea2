"""Sort of lines with DuckDB: sort_duckdb.py IN OUT"""
import sys

import duckdb

source, target = sys.argv[1:]
duckdb.execute(
    f"""COPY (
        SELECT line FROM read_csv('{source}', columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='',
                                  header=false, auto_detect=false, new_line='\\r\\n')
        ORDER BY line
    ) TO '{target}' (DELIMITER '\x01', HEADER false, QUOTE '', ESCAPE '')"""
)
