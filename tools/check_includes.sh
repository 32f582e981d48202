#!/bin/sh
# Checks the direction of includes: usage: check_includes.sh ROOT
#
# In ROOT/src a file may include only headers of its own layer and of layers to the left, a
# header named *_internal.h only from its own folder or from one that holds that folder (and puts
# its parts together), and no two files share a name. The check first runs on small trees that
# break each rule, to show that it can fail.
#
# SPDX-License-Identifier: Apache-2.0
set -eu

layers="base formats text tensor model acts sae study report bench cli"

# Prints one line for each broken rule of the tree $1 and fails if there is any.
check() {
    (cd "$1" && find src -name '*.[ch]' | LC_ALL=C sort) |
        (cd "$1" && awk -v layers="$layers" '
            function complain(text) { print text; n_bad++ }
            function folder(path) { sub(/\/[^\/]*$/, "", path); return path }
            function check_include(file, line, target,    mine, theirs) {
                split(file, mine, "/")
                split(target, theirs, "/")
                if (!(theirs[1] in rank))
                    complain(file ":" line ": \"" target "\" does not begin with a layer of src")
                else if (!(mine[2] in rank))
                    complain(file ": the folder is not one of: " layers)
                else if (rank[theirs[1]] > rank[mine[2]])
                    complain(file ":" line ": " mine[2] " includes \"" target "\", which is above it")
                if (target ~ /_internal\.h$/ && index(folder("src/" target) "/", folder(file) "/") != 1)
                    complain(file ":" line ": \"" target "\" is internal to another folder")
            }
            BEGIN { n = split(layers, names, " "); for (i = 1; i <= n; i++) rank[names[i]] = i }
            {
                file = $0
                base = file
                sub(/.*\//, "", base)
                if (base in seen) complain(file ": the name is taken by " seen[base])
                seen[base] = file
                line = 0
                while ((getline text < file) > 0) {
                    line++
                    if (text ~ /^[ \t]*#[ \t]*include[ \t]*"/) {
                        split(text, part, "\"")
                        check_include(file, line, part[2])
                    }
                }
                close(file)
            }
            END { exit n_bad > 0 }')
}

# must_fail WHAT FILE INCLUDE: a tree with that file beside a good one is refused.
must_fail() {
    rm -rf "$tree/src"
    mkdir -p "$tree/src/base" "$tree/src/tensor/cpu" "$tree/src/report"
    echo '#include "base/err.h"' >"$tree/src/tensor/ops.c"
    echo '#include "tensor/cpu/x_internal.h"' >>"$tree/src/tensor/ops.c"
    check "$tree" >/dev/null || { echo "check_includes: a good tree is refused"; exit 1; }
    printf '%s\n' "$3" >"$tree/src/$2"
    if check "$tree" >/dev/null; then
        echo "check_includes: not noticed: $1"
        exit 1
    fi
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
must_fail "an include that points right" base/err.c '#include "tensor/ops.h"'
must_fail "an include that points right, with spaces" base/err.c '  #  include "report/pdf.h"'
must_fail "an internal header of another layer" report/pdf.c '#include "tensor/cpu/x_internal.h"'
must_fail "an internal header of the folder above" tensor/cpu/x.c '#include "tensor/x_internal.h"'
must_fail "two files with one name" report/ops.c '/* empty */'
must_fail "an include that names no layer" tensor/x.c '#include "ops.h"'

check "$1"
