"""Word count with Polars: wordcount_polars.py IN OUT"""
import sys

import polars as pl

source, target = sys.argv[1:]
lines = pl.scan_csv(source, has_header=False, new_columns=["line"], separator="\x01", quote_char=None)
words = lines.select(pl.col("line").str.split(" ").explode().alias("word")).filter(pl.col("word") != "")
counts = words.group_by("word").len().sort("word").collect()
counts.write_csv(target, include_header=False, separator="\t", quote_style="never")
