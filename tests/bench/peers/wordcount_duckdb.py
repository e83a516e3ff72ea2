"""Word count with DuckDB: wordcount_duckdb.py IN OUT"""
import sys

import duckdb

source, target = sys.argv[1:]
duckdb.execute(
    f"""COPY (
        SELECT word, count(*) AS n
        FROM (SELECT unnest(string_split(replace(line, chr(9), ' '), ' ')) AS word
              FROM read_csv('{source}', columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='', header=false,
                            auto_detect=false, null_padding=false))
        WHERE word <> '' GROUP BY word ORDER BY word
    ) TO '{target}' (DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '')"""
)
