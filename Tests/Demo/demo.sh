#!/usr/bin/env bash
# The demonstration: a generated conveyor recording goes through the daemon's pipeline with the shipped model, a second
# process hears the verdicts on ZeroMQ, and a table says what was caught.
#
#   demo.sh DIRECTORY-OF-THE-PROGRAMS
set -euo pipefail

programs=$1
demo=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$demo/../.." && pwd)
work=$(mktemp -d)
listener=
finish() {
    if [ -n "$listener" ]; then kill "$listener" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT

good=70 logical=35 structural=15
parts=$((good + logical + structural))

echo "drawing a recording of $parts trays: $good good, $logical with a logical and $structural with a structural defect"
"$programs/beltwatch" synthesize recording "$work/line.mkv" --seed 7 \
    --good $good --logical $logical --structural $structural

# The example station, with the recording in place of the camera.
sed -e "s|^model: .*|model: $demo/trays.safetensors|" \
    -e "s|^state_directory: .*|state_directory: $work/state|" \
    -e "s|^  pipeline: .*|  pipeline: filesrc location=$work/line.mkv ! matroskademux ! avdec_ffv1|" \
    -e "s|^  live: .*|  live: false|" \
    -e "s|^  every: .*|  every: 8 frames|" -e "s|^  offset: .*|  offset: 4 frames|" \
    -e "s|^  verdicts: .*|  verdicts: ipc://$work/verdicts.ipc|" \
    -e "s|^  results: .*|  results: ipc://$work/results.ipc|" \
    "$root/Systemd/example-station.yaml" > "$work/station.yaml"
"$programs/beltwatchd" --check --config "$work/station.yaml"

echo
echo "verdicts as a subscriber in a process of its own hears them:"
timeout 1800 "$programs/beltwatch" watch "ipc://$work/verdicts.ipc" --count $parts &
listener=$!

"$programs/beltwatch" replay "$work/line.mkv" --config "$work/station.yaml" --manifest "$work/line.manifest.json" \
    --publish "ipc://$work/verdicts.ipc" --verdicts "$work/verdicts.jsonl" > "$work/replay.txt"
wait "$listener"
listener=
echo
# The lines per part are what the subscriber showed; the summary comes after the blank line.
sed '1,/^$/d' "$work/replay.txt"
echo
echo "verdict file: $(wc -l < "$work/verdicts.jsonl") lines, sha256 $(sha256sum "$work/verdicts.jsonl" | cut -c1-16)"
