#!/usr/bin/env bash
# Every claim about outputs once more, on a cluster.
ON_CLUSTER=3 exec "$(dirname "$0")/test_outputs.sh"
