"""Asks for each path of an OpenAPI file and holds the answer against its schema: openapi.py FILE URL JOB

Prints a line for each path that answers as it says; ends with status 1 at the first that does not.
"""
import json
import sys
import urllib.request

import jsonschema
import yaml

document = yaml.safe_load(open(sys.argv[1]))
url, job = sys.argv[2], sys.argv[3]


def first_event(answer):
    """The first piece of a stream that does not end."""
    return answer.readline().decode()


for path, operations in document["paths"].items():
    with urllib.request.urlopen(url + path.replace("{job}", job), timeout=20) as answer:
        kind = answer.headers["Content-Type"].split(";")[0]
        content = operations["get"]["responses"]["200"]["content"]
        if kind not in content:
            sys.exit(f"{path} answers with {kind}, not with {', '.join(content)}")
        if kind == "application/json":
            schema = dict(content[kind]["schema"], components=document["components"])
            jsonschema.validate(json.load(answer), schema)
        elif kind == "text/event-stream":
            first_event(answer)
        elif not answer.read():
            sys.exit(f"{path} answers with nothing")
        print("ok", path)
