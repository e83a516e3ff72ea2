#!/usr/bin/env bash
# Prints the results of a benchmark as tables in Markdown.
#
#     tests/bench/table.sh build/bench/results.json
set -euo pipefail
awk '
    function get(key,  at, rest) {
        at = index($0, "\"" key "\": ")
        if (!at) return ""
        rest = substr($0, at + length(key) + 4)
        return substr(rest, 1, 1) == "\"" ? substr(rest, 2, index(substr(rest, 2), "\"") - 1) : rest + 0
    }
    /^"date"/ {
        printf "%s: %s, %s processors, %.0f GiB, Linux %s, commit %s.\n\n", substr(get("date"), 1, 10), get("machine"),
            get("processors"), get("memory") / 1073741824, get("kernel"), get("commit")
        print "| work | ours, ms: median (quartiles), least | beside it, ms: median (quartiles), least | ratio of medians | of minima | limit | |"
        print "|---|---|---|---|---|---|---|"
    }
    /"kind": "(ratio|turns|ms)"/ {
        ms = get("kind") == "ms"
        printf "| %s | %s (%s-%s), %s | %s (%s-%s), %s | %s | %s | %s%s | %s |\n", get("name"),
            get("median_ms"), get("q1_ms"), get("q3_ms"), get("min_ms"),
            get("other_median_ms"), get("other_q1_ms"), get("other_q3_ms"), get("other_min_ms"),
            ms ? "" : sprintf("%.2f", get("ratio")), ms ? "" : sprintf("%.2f", get("ratio_of_minima")),
            get("limit"), ms ? " ms" : "", get("state")
        next
    }
    /"kind": / { others = others sprintf("| %s | %s %s | %s | %s |\n", get("name"), get("value"), get("kind"), get("limit"), get("state")) }
    /"why": / { others = others sprintf("| %s | %s | | %s |\n", get("name"), get("why"), get("state")) }
    END { if (others) printf "\n| | measured | limit | |\n|---|---|---|---|\n%s", others }' "$1"
