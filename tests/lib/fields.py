"""Data with fields, and what Python's csv and json modules find in it.

    fields.py make FORMAT ROWS SEED >file     FORMAT: csv, csv-lines, jsonl, keyval
    fields.py check FORMAT FILE...  <output of fields_job
    fields.py sums FORMAT FILE...             what groupsum by=user sum=amount decimals=2 prints
"""
import csv
import decimal
import io
import json
import random
import sys

NAMES = ["user", "amount", "note"]
NOTES = ["", "x", "a, b", 'say "hi"', "two\nlines", "cr\r\nlf", "tab\there", "é€😀", "-", "\\", "null", "y" * 300]


def make(form, rows, seed):
    rng = random.Random(seed)
    out = io.StringIO()
    if form.startswith("csv"):
        eol = "\r\n" if seed % 2 else "\n"
        if seed % 3 == 0:
            out.write("\ufeff")
        writer = csv.writer(out, lineterminator=eol, quoting=csv.QUOTE_ALL if seed % 5 == 0 else csv.QUOTE_MINIMAL)
        writer.writerow(["note", "more", "user", "amount"])
    for _ in range(rows):
        user = "user %d" % rng.randrange(40)
        amount = "%d.%02d" % (rng.randrange(-500, 500), rng.randrange(100))
        note = rng.choice(NOTES)
        if form == "csv-lines":
            note = note.replace("\r", "").replace("\n", " ")
        if form.startswith("csv"):
            writer.writerow([note, rng.choice(NOTES[:4]), user, amount])
        elif form == "jsonl":
            record = {"x": [1, {"user": "inner"}], "user": user, "amount": float(amount), "note": note}
            if rng.random() < 0.1:
                record.pop(rng.choice(NAMES))
            if rng.random() < 0.1:
                record["note"] = rng.choice([None, True, {"a": [1, "b"]}, []])
            out.write(json.dumps(record, ensure_ascii=rng.random() < 0.5) + "\n")
        else:
            out.write(user + ("\t" + amount if rng.random() < 0.9 else "") + "\n")
    sys.stdout.buffer.write(out.getvalue().encode())


def read(form, path):
    """(the raw record or None, [user, amount, note as bytes or None]) of each record."""
    data = open(path, "rb").read()
    if form.startswith("csv"):
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        header = next(rows, [])
        for row in rows:
            assert len(row) == len(header)
            yield None, [row[header.index(name)].encode() for name in NAMES]
    elif form == "jsonl":
        for line in data.split(b"\n")[: -1 if data.endswith(b"\n") else None]:
            record = json.loads(line, parse_float=lambda text: text)
            yield line, [text_of(record.get(name)) for name in NAMES]
    else:
        for line in data.split(b"\n")[: -1 if data.endswith(b"\n") else None]:
            key, tab, value = line.partition(b"\t")
            yield line, [key, value if tab else None, None]


def text_of(value):
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value).encode()


def check(form, paths):
    """The output must be the records of the files in order, each at its offset."""
    lines = sys.stdin.buffer.read().split(b"\n")
    at = 0
    for path in paths:
        data = open(path, "rb").read()
        end = 0
        for raw, want in read(form, path):
            offset, rest = lines[at].split(b"\t")
            at += 1
            record, *fields = rest.split(b" ")
            record = bytes.fromhex(record.decode())
            offset = int(offset)
            if data[offset : offset + len(record)] != record or offset < end or raw not in (None, record):
                sys.exit("%s: not the record at %d: %r" % (path, offset, record))
            end = offset + len(record)
            got = [None if f == b"-" else bytes.fromhex(f.decode()) for f in fields]
            if got != want:
                sys.exit("%s at %d: %r, not %r" % (path, offset, got, want))
    if lines[at:] != [b""]:
        sys.exit("%d lines more" % (len(lines) - at - 1))


def sums(form, paths):
    totals = {}
    for path in paths:
        for _, (user, amount, _) in read(form, path):
            if user is not None and amount is not None:
                total = totals.setdefault(user, [decimal.Decimal("0.00"), 0])
                total[0] += decimal.Decimal(amount.decode())
                total[1] += 1
    for user in sorted(totals):
        sys.stdout.buffer.write(b"%s\t%s\t%d\n" % (user, str(totals[user][0]).encode(), totals[user][1]))


if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
elif sys.argv[1] == "check":
    check(sys.argv[2], sys.argv[3:])
else:
    sums(sys.argv[2], sys.argv[3:])
