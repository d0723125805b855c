#!/bin/sh
# Compute a little of everything on this processor and on emulated ones, and compare the bytes.
#
#   tools/other_processor.sh [PROCESSOR ...]
#
# By default EPYC (AMD) and Haswell (Intel), a quarter of an hour each; `qemu-x86_64 -cpu help` lists them. Run
# it from the repository's root, in the virtual environment. It exits with status 1 if a digest differs under the
# switches of eos.pipeline.processor, with 2 if it cannot tell. docs/portability.md says more.
#
# Needs qemu-x86_64 (Debian's qemu-user) of version 10: 7.2 computes AVX2's gather instructions wrongly. QEMU=path
# names another one.
set -u
qemu=${QEMU:-qemu-x86_64}
command -v "$qemu" > /dev/null || { echo "$qemu is missing: apt install qemu-user" >&2; exit 2; }
python=$(python -c 'import sys; print(sys.executable)') || exit 2
[ $# -gt 0 ] || set -- EPYC Haswell
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

if ! "$qemu" -cpu "$1" "$python" -c '
import numpy as np
rows = np.random.default_rng(0).random((9, 300), dtype=np.float32)
assert (np.sort(rows) == np.take_along_axis(rows, rows.argsort(), axis=1)).all()
' > "$folder/messages" 2>&1; then
    tail -n 1 "$folder/messages" >&2
    echo "$qemu -cpu $1 does not sort rightly: take a newer one (10 does)" >&2
    exit 2
fi

# One run: the name of its column, then the command.
run() {
    column=$1
    shift
    echo "$(date +%T) $column" >&2
    if ! "$@" > "$folder/$column" 2> "$folder/messages"; then
        cat "$folder/messages" >&2
        echo "$column: did not finish" >&2
        exit 2
    fi
    grep '^code in use' "$folder/messages" >&2
}

run native "$python" tests/digests.py
# What the environment says must not matter.
run environment env ATEN_CPU_CAPABILITY=avx512 MKL_CBWR=AUTO OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=2 \
    ONEDNN_DEFAULT_FPMATH_MODE=BF16 NPY_ENABLE_CPU_FEATURES=X86_V4 "$python" tests/digests.py
for processor in "$@"; do
    run "$processor" "$qemu" -cpu "$processor" "$python" tests/digests.py
done
run unswitched "$python" tests/digests.py --without all

# Names are 32 characters wide. The last column shows what the switches are for.
printf '%-32s' result
printf ' %-11s' native environment "$@" same unswitched
echo
while read -r line; do
    name=$(printf %.32s "$line")
    digest=${line##* }
    same=yes
    printf '%-32s %-11s' "$name" "$digest"
    for column in environment "$@"; do
        other=$(grep -F "$name " "$folder/$column" | head -n 1)
        other=${other##* }
        [ "$other" = "$digest" ] || same=NO
        printf ' %-11s' "$other"
    done
    other=$(grep -F "$name " "$folder/unswitched" | head -n 1)
    printf ' %-11s %s\n' "$same" "${other##* }"
done < "$folder/native"

status=0
for column in environment "$@"; do
    if ! cmp -s "$folder/native" "$folder/$column"; then
        echo "$column differs from native" >&2
        status=1
    fi
done
[ $status = 1 ] || echo "the same everywhere: $(wc -l < "$folder/native") results"
exit $status
