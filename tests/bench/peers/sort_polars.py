"""Sort of lines with Polars: sort_polars.py IN OUT"""
import sys

import polars as pl

source, target = sys.argv[1:]
lines = pl.read_csv(source, has_header=False, new_columns=["line"], separator="\x01", quote_char=None)
lines.sort("line").write_csv(target, include_header=False, separator="\x01", quote_style="never")
