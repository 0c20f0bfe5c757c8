# shellcheck shell=bash
# What interop/run says its checks with: an end whatever happens, expectations, servers, damage.
# It is sourced, and uses $work, a folder to write to, and $deadline, in $SECONDS.

# --- an end, whatever happens -------------------------------------------------------------------

# The keeper hears of every server, by `+PID` and `-PID`, through descriptor 9. When this process is gone,
# be it by SIGKILL, nobody holds the other end of that pipe: the keeper ends the servers and removes $work.
keeper() {
    local said pids=() pid
    local -A running=()
    trap '' INT TERM HUP
    while read -r said; do
        case $said in
            +*) running[${said:1}]=yes ;;
            -*) unset "running[${said:1}]" ;;
            end) break ;;
        esac
    done
    pids=("${!running[@]}")
    for pid in "${pids[@]}"; do end "$pid"; done
    rm -rf "$work"
}

# end PID: SIGTERM, and SIGKILL where that does not do.
end() {
    kill "$1" 2>/dev/null || return 0
    gone "$1" || kill -KILL "$1" 2>/dev/null || true
}

# gone PID: whether it ends within 10 seconds.
gone() {
    local _
    for _ in $(seq 100); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}

exec 9> >(keeper)
keeper=$!
finish() {
    echo end >&9
    wait "$keeper" || true
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# in_time COMMAND...: no command outlives the deadline.
in_time() {
    local left=$((deadline - SECONDS))
    timeout --foreground --kill-after=5 $((left > 0 ? left : 1)) "$@" 9>&-
}

# --- expectations -------------------------------------------------------------------------------

passed=0 failed=0

# expect CODE WHAT COMMAND...: one check, passed if the command ends with that exit code. What it says
# stands in $work/out, and in $work/last while the next one runs.
expect() {
    local code=$1 what=$2 got=0
    shift 2
    ((SECONDS < deadline)) || { echo "OUT OF TIME before: $what" && exit 1; }
    [ ! -f "$work/out" ] || mv "$work/out" "$work/last"
    "$@" >"$work/out" 2>&1 </dev/null || got=$?
    if [ "$got" = "$code" ]; then
        passed=$((passed + 1))
        echo "ok      $what"
        [ "$code" != 0 ] || cat "$work/out" >>"$work/said"
    else
        failed=$((failed + 1))
        echo "FAILED  $what: exit $got, not $code"
        head -n 20 "$work/out" | sed 's/^/        /'
    fi
}
accepts() { expect 0 "$@"; }
refuses() { expect 1 "$@"; }      # it is bad
misunderstands() { expect 2 "$@"; } # it is no such thing at all
section() { echo "-- $1"; }

# same A B: they are the same, and not both nothing.
same() { [ -n "$1" ] && [ "$1" = "$2" ] || { printf '%s\n' "'$1'" "is not" "'$2'" && return 1; }; }

# blaming FILE COMMAND...: ends as the command does, if that names the file. Who reads entries before
# tiles may name the tile over a bundle.
blaming() {
    local file=$1 got=0
    shift
    "$@" || got=$?
    grep -qF -e "$file" -e "${file/entries/0}" "$work/out" || return 99
    return "$got"
}

# counted: what both sides verified in all, whichever way they read it, by what they said of it.
counted() {
    awk '
        /^ok: size / { go["logs"]++; go["tiles"] += $6 + $9; go["bundles"] += $12; go["proofs"] += $16 + $19 }
        /^ok: index / { go["files"]++ }
        /^{.*"bundles":/ { kiln["logs"]++; kiln["tiles"] += number("tiles"); kiln["bundles"] += number("bundles") }
        /^ok: kiln verifies / { kiln["files"]++ }
        function number(name) { match($0, "\"" name "\":[0-9]+"); return substr($0, RSTART + length(name) + 3) + 0 }
        END {
            printf "Go verified %d times a whole log: %d tiles, %d bundles, %d proofs; and %d tlog-proof files\n",
                go["logs"], go["tiles"], go["bundles"], go["proofs"], go["files"]
            printf "kiln verified %d times a whole log: %d tiles, %d bundles; and %d tlog-proof files\n",
                kiln["logs"], kiln["tiles"], kiln["bundles"], kiln["files"]
        }' "$work/said"
}

# --- servers ------------------------------------------------------------------------------------

# start OUTPUT COMMAND...: in the background, under the eyes of the keeper; sets server.
start() {
    "${@:2}" >"$1" 2>&1 </dev/null 9>&- &
    server=$!
    echo "+$server" >&9
}

# stop PID: by SIGTERM; its exit code.
stop() {
    kill -TERM "$1"
    gone "$1" || return 99
    echo "-$1" >&9
    wait "$1"
}

# await PATTERN FILE: until it holds a line like that, for 30 seconds, while the server lives.
await() {
    local _
    for _ in $(seq 300); do
        grep -qE "$1" "$2" && return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    grep -qE "$1" "$2" || { echo "FAILED  a server does not get ready:" && cat "$2" && exit 1; }
}

# free_port: below the ports that the system gives to connections.
free_port() {
    local port
    while port=$((RANDOM % 10000 + 20000)); do
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port" && return; }
    done
}

url_in() { grep -oE 'http://127\.0\.0\.1:[1-9][0-9]*' "$1" | head -n 1; }

# --- a log and its damage -----------------------------------------------------------------------

size_of() { sed -n 2p "$1/checkpoint"; }

# edge SIZE: the tiles and bundles at the right edge of a tree, partial and full.
edge() {
    local level=0 n=$1
    while ((n > 0)); do
        edge_of "$level" "$n"
        ((level > 0)) || edge_of entries "$n"
        level=$((level + 1)) n=$((n / 256))
    done
}
edge_of() {
    local full=$(($2 / 256)) width=$(($2 % 256))
    ((width == 0)) || echo "tile/$1/$(tile_path "$full").p/$width"
    ((full == 0)) || echo "tile/$1/$(tile_path $((full - 1)))"
}
tile_path() {
    ((${1} < 1000)) || printf 'x%03d/' $(($1 / 1000)) # no log here has a million tiles
    printf '%03d' $(($1 % 1000))
}

# damage LOG FILE: a fresh copy of the log in $work/damaged, in which FILE is about to suffer.
damage() {
    [ -f "$1/$2" ]
    mkdir -p "$work/damaged"
    find "$work/damaged" -mindepth 1 -delete # a server may stand in it
    cp -r "$1/." "$work/damaged"
}

# flip FILE [OFFSET] changes one bit, in the middle unless said.
flip() {
    local offset=${2:-$(($(wc -c <"$1") / 2))} byte
    byte=$(od -An -tu1 -j"$offset" -N1 "$1")
    printf '%b' "$(printf '\\x%02x' $((byte ^ 1)))" | dd of="$1" bs=1 seek="$offset" conv=notrunc status=none
}
