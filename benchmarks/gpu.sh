#!/bin/sh
# Measures training steps on the GPUs of this machine: the table "On GPUs" of docs/benchmarks.md.
#
#   benchmarks/gpu.sh           eight minutes at most; installs nothing
#   benchmarks/gpu.sh --tiny    whether it runs, on a CPU too; the numbers mean nothing
#
# PYTHON=... names the interpreter, else .venv's, else python. Flags go to `python -m benchmarks`.
# Sections share what is left of the time equally, each less its start. What does not fit, or cannot
# run here, is left out and named: variants before their section's table, sections at the end.

cd "$(dirname "$0")/.." || exit 1
[ -n "$PYTHON" ] || { [ -x .venv/bin/python ] && PYTHON=.venv/bin/python; } || PYTHON=python
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM HUP
end=$(($(date +%s) + 470))
start=25
sections=3
missing=""
failed=0

for section in gpu_several gpu_one gpu_xla; do  # with one GPU the first ends at once
    left=$((end - $(date +%s)))
    seconds=$((left / sections - start))
    sections=$((sections - 1))
    [ "$seconds" -gt 0 ] &&
        timeout --foreground --kill-after=5 "$left" "$PYTHON" -m benchmarks --sections="$section" \
            --seconds="$seconds" --work_dir="$folder" --output="checkpoints/$section.json" "$@" ||
        { [ $? = 2 ] || failed=1; missing="$missing $section"; }  # 2: cannot run here, and says why
done

[ -z "$missing" ] || echo "Not measured here:$missing"
exit "$failed"
