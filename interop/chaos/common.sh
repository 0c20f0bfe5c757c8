# shellcheck shell=bash
# What the drills have in common: programs, writers, proxies, load, and the comparison at the end.
# A drill sources it, and may be run by itself; interop/chaos/run runs all.
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$root/.cache/interop

# beside_a_bucket SCRIPT ARGUMENT...: runs the drill again, beside an object store of its own.
beside_a_bucket() {
    [ -z "${KILN_TEST_STORE:-}" ] || return 0
    export KILN_TEST_MINUTES=$((drill_minutes + 10))
    exec "$root/interop/object-stores/with" "${server_name:-versitygw}" "$@"
}

# begin MINUTES: from here on there is an end, whatever happens.
begin() {
    work=$(mktemp -d)
    deadline=$((SECONDS + 60 * $1))
    # shellcheck source=interop/checking.sh
    . "$root/interop/checking.sh"
    unset KILN_VKEY KILN_POLICY KILN_TOKEN KILN_KEY KILN_CACHE
    build
    # Not earlier: compilers keep their caches there too.
    export KILN_STATE_DIR=$work/state XDG_CACHE_HOME=$work/cache
}

# $KILN names a kiln to drill, else one is built.
build() {
    mkdir -p "$bin"
    (cd "$root/interop/go" && in_time go build -trimpath -o "$bin" ./cmd/...)
    if [ -z "${KILN:-}" ]; then
        (cd "$root" && in_time cargo build --quiet --locked --release -p kiln)
        KILN=$(cd "$root" && cargo metadata --locked --no-deps --format-version 1 |
            sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/kiln
    fi
    KILN=$(realpath -e -- "$KILN")
    export KILN
}
kiln() { in_time "$KILN" "$@"; }

finished() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

# figure WORDS...: something that was measured.
figure() { echo "        $*"; }

# least A B, most A B: whole numbers, and what they are where it does not hold.
least() { (($1 >= $2)) || { echo "$1 is less than $2" && return 1; }; }
most() { (($1 <= $2)) || { echo "$1 is more than $2" && return 1; }; }

milliseconds() { date +%s%3N; }
# chance N: a number below it.
chance() { echo $((RANDOM % $1)); }
pause() { sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"; }

# --- a line to the store that may be bad ---------------------------------------------------------

# proxy SEED: one more line to the store; sets line, its URL, and steer, by which it is steered.
proxy() {
    local out
    out=$(mktemp -p "$work")
    start "$out" "$bin/faultyproxy" -to "$endpoint" -seed "$1"
    await '^http:.*' "$out"
    until [ "$(grep -c '^http:' "$out")" = 2 ]; do sleep 0.1; done
    line=$(sed -n 1p "$out") steer=$(sed -n 2p "$out")
}
ask() { curl --silent --show-error --fail --noproxy '*' --max-time 20 "$@" 9>&-; }
# faults STEER QUERY: from now on; none without a query.
faults() { ask --request POST "$1/faults?${2:-}"; }
# counts STEER: since the last time; METHOD KIND FATE STATUS COUNT a line.
counts() { ask --request POST "$1/counts"; }
# sum AWK-CONDITION FILE...: of counts.
sum() { awk "$1"' { n += $5 } END { print n + 0 }' "${@:2}"; }
# injected FILE...: the faults that were done, by kind.
injected() {
    awk '$3 != "done" { n[$3] += $5; all += $5 } { total += $5 }
        END { for (f in n) printf "%s %d, ", f, n[f]; printf "%d of %d requests\n", all, total }' "$@"
}

# The variable in which a cloud's own tools look for their endpoint.
endpoint_variable() {
    case $KILN_TEST_STORE in
        s3:*) echo AWS_ENDPOINT_URL ;;
        az:*) echo AZURITE_BLOB_STORAGE_URL ;;
        gs:*) echo STORAGE_EMULATOR_HOST ;;
    esac
}

# --- writers --------------------------------------------------------------------------------------

declare -a url=() pid=() writer_line=()

# writer N ARGUMENT...: starts `kiln serve` number N, on a machine of its own as far as it knows, at a
# port that it keeps for all its lives; sets pid[N] and url[N]. What it says is appended to N.said. It may have
# $open_files files open, where that is set.
writer() {
    local n=$1
    shift
    [ -n "${url[n]:-}" ] || url[n]=http://127.0.0.1:$(free_port)
    : >"$work/$n.out"
    start /dev/null env ${writer_line[n]:+"$(endpoint_variable)=${writer_line[n]}"} \
        bash -c "${open_files:+ulimit -n $open_files;}"' exec "$@" >"$0.out" 2>>"$0.said"' "$work/$n" \
        "$KILN" serve "$@" --listen "${url[n]#http://}" --cache-dir "$work/cache.$n"
    pid[n]=$server
}
# ready N: waits until it says so.
ready() {
    server=${pid[$1]}
    await '^ready$' "$work/$1.out"
}
# kill_writer N: kill -9.
kill_writer() {
    kill -KILL "${pid[$1]}"
    wait "${pid[$1]}" 2>/dev/null || true
    echo "-${pid[$1]}" >&9
}
lives() { kill -0 "${pid[$1]}" 2>/dev/null; }
# calm: nobody panicked or raised an alarm.
calm() { ! grep -hE 'ALARM|panicked' "$work"/*.said; }
alarmed() { grep -qE ALARM "$work/$1.said"; }
submit() { ask --data-binary "$2" "${url[$1]}/add"; }
status_of() { curl --silent --noproxy '*' --max-time 20 --output /dev/null --write-out '%{http_code}' "$@" 9>&- || true; }

# --- load, and what it remembers ------------------------------------------------------------------

# load NAME ARGUMENT...: until it ends; prints its figures. Its ledger is NAME.ledger.
load() { "$bin/load" -vkey "$vkey" -ledger "$work/$1.ledger" "${@:2}"; }
# start_load NAME ARGUMENT...: the same in the background; sets load.
start_load() {
    start "$work/$1.load" "$bin/load" -vkey "$vkey" -ledger "$work/$1.ledger" "${@:2}"
    load=$server
    until [ -s "$work/$1.ledger" ]; do
        lives_process "$load" || { cat "$work/$1.load" && exit 1; }
        sleep 0.1
    done
}
lives_process() { kill -0 "$1" 2>/dev/null; }
# end_load NAME: SIGTERM, and its exit code.
end_load() {
    kill -TERM "$load" 2>/dev/null || true
    end_of_load "$1"
}
# end_of_load NAME: the same when it has come to its end by itself.
end_of_load() {
    local code=0
    wait "$load" || code=$?
    echo "-$load" >&9
    cat "$work/$1.load"
    return "$code"
}
figures_of() { figure "$(head -n 1 "$work/$1.load")"; }
# acknowledged NAME: how many.
acknowledged() { grep -c '^acknowledged' "$work/$1.ledger"; }
# last_writer NAME: who acknowledged last.
last_writer() { tail -n 500 "$work/$1.ledger" | awk '/^acknowledged/ { w = $3 } END { print w }'; }
# acknowledged_after NAME TIME AWK-CONDITION: milliseconds until one was, by a writer w; waits for it.
acknowledged_after() {
    local _ after
    for _ in $(seq 1200); do
        after=$(tail -n 3000 "$work/$1.ledger" 2>/dev/null |
            awk -v since="$2" '/^acknowledged/ { w = $3; if ($2 > since && ('"$3"')) { print $2 - since; exit } }')
        [ -z "$after" ] || { echo "$after" && return; }
        sleep 0.05
    done
    echo 60000
}

# --- the end ---------------------------------------------------------------------------------------

# check_log NAME STORE: reads all of the store, copies it, and lets Go compare the copy with the ledger.
check_log() {
    accepts "kiln fsck $2" kiln fsck "$2" --vkey "$vkey" --json
    rm -rf "$work/copy"
    accepts "a verified copy of it" kiln backup "$2" "$work/copy" --vkey "$vkey"
    accepts "nothing is lost, doubled, moved or forked, by Go" in_time "$bin/checkledger" -vkey "$vkey" \
        -dir "$work/copy/public" "$work/$1.ledger"
    figure "$(cat "$work/out")"
}

# check_checkers NAME: those who said yes above must be able to say no, to the same log with something amiss.
check_checkers() {
    local ledger=$work/altered.ledger
    section "what is checked can fail"
    flip "$work/copy/public/tile/0/000"
    refuses "kiln fsck: a bit of a tile" blaming tile/0/000 kiln fsck "$work/copy/public" --vkey "$vkey"
    flip "$work/copy/public/tile/0/000"
    flip "$work/copy/public/tile/entries/000" 100
    refuses "Go: a bit of an entry" ledger_says_no "root" "$work/$1.ledger"
    flip "$work/copy/public/tile/entries/000" 100
    sed '0,/^acknowledged/{/^acknowledged/s/[0-9a-f]\{8\}$/00000000/}' "$work/$1.ledger" >"$ledger"
    refuses "Go: another entry was acknowledged" ledger_says_no "FORKED\|LOST" "$ledger"
    awk '!done && /^acknowledged/ { $4 += 1000000; done = 1 } { print }' "$work/$1.ledger" >"$ledger"
    refuses "Go: it was acknowledged at another index" ledger_says_no "DOUBLED\|MOVED" "$ledger"
    grep -v "^sent $(awk '/^acknowledged/ { print $5; exit }' "$work/$1.ledger")" "$work/$1.ledger" >"$ledger"
    refuses "Go: nobody sent an entry" ledger_says_no "MADE UP" "$ledger"
    (cat "$work/$1.ledger" && echo "acknowledged 1 0 999999999 $(printf lost | sha256sum | cut -d ' ' -f 1)") >"$ledger"
    refuses "Go: an acknowledged entry is not there" ledger_says_no LOST "$ledger"
    awk '/^seen/ && !done { $5 = "AAAA" substr($5, 5); done = 1 } { print }' "$work/$1.ledger" >"$ledger"
    refuses "Go: a checkpoint with another root was seen" ledger_says_no FORKED "$ledger"
    awk '/^seen/ && !done { $4 = 999999999; done = 1 } { print }' "$work/$1.ledger" >"$ledger"
    refuses "Go: a checkpoint of a larger tree was seen" ledger_says_no "ROLLED BACK" "$ledger"
}
# ledger_says_no WORD LEDGER: exits as checkledger does, if it says so.
ledger_says_no() {
    local got=0
    in_time "$bin/checkledger" -vkey "$vkey" -dir "$work/copy/public" "$2" || got=$?
    grep -q "$1" "$work/out" || return 99
    return "$got"
}
