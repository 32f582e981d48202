# Writes OUT, a C source that holds the commit of the source tree FOLDER as bench/machine.h declares
# it, "" where git does not say. Called by the build:
#
#   cmake -DFOLDER=. -DOUT=build/generated/commit.c -P embed_commit.cmake
#
# SPDX-License-Identifier: Apache-2.0

set(commit "")
if(EXISTS ${FOLDER}/.git)
    execute_process(COMMAND git -C ${FOLDER} rev-parse --short=12 HEAD
                    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(WRITE ${OUT} "/* Made by embed_commit.cmake. */
#include \"bench/machine.h\"

const char fc_commit[] = \"${commit}\";
")
