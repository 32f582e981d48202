# Writes OUT, a C source that holds the texts in FOLDER (*EXTENSION) as byte arrays and defines
# PREFIX_text(name) and PREFIX_names(), declared in HEADER. Names lack the extension. Called by
# the build:
#
#   cmake -DFOLDER=src/sae/recipes -DEXTENSION=.yaml -DHEADER=sae/recipes.h -DPREFIX=fc_recipe
#         -DOUT=build/generated/recipes.c -P embed_texts.cmake
#
# SPDX-License-Identifier: Apache-2.0

file(GLOB files ${FOLDER}/*${EXTENSION})
list(SORT files)
set(arrays "")
set(rows "")
set(names "")
set(i 0)
foreach(file ${files})
    get_filename_component(name ${file} NAME)
    if(EXTENSION)
        string(REGEX REPLACE "\\${EXTENSION}$" "" name ${name})
    endif()
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    # 8 bytes a line
    string(REGEX REPLACE "((0x..,)(0x..,)?(0x..,)?(0x..,)?(0x..,)?(0x..,)?(0x..,)?(0x..,)?)"
           "    \\1\n" bytes "${bytes}")
    # char may be signed: bytes above 0x7f keep their bits in an array of unsigned char
    string(APPEND arrays "static const unsigned char text_${i}[] = {\n${bytes}    0};\n\n")
    string(APPEND rows "    {\"${name}\", text_${i}},\n")
    list(APPEND names ${name})
    math(EXPR i "${i} + 1")
endforeach()
list(JOIN names ", " names)

file(WRITE ${OUT} "/* Made by embed_texts.cmake. */
#include \"${HEADER}\"

#include <stddef.h>
#include <string.h>

${arrays}static const struct {
    const char *name;
    const unsigned char *text;
} texts[] = {
${rows}};

const char *${PREFIX}_text(const char *name)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].name, name) == 0) return (const char *)texts[i].text;
    return NULL;
}

const char *${PREFIX}_names(void)
{
    return \"${names}\";
}
")
