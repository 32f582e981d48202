# Writes OUT, a C source that holds the recipes in FOLDER (NAME.yaml) as byte arrays and defines
# the functions of sae/recipes.h. Called by the build:
#
#   cmake -DFOLDER=src/sae/recipes -DOUT=build/generated/recipes.c -P embed_recipes.cmake
#
# SPDX-License-Identifier: Apache-2.0

file(GLOB recipes ${FOLDER}/*.yaml)
list(SORT recipes)
set(arrays "")
set(rows "")
set(names "")
set(i 0)
foreach(recipe ${recipes})
    get_filename_component(name ${recipe} NAME_WE)
    file(READ ${recipe} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    # 8 bytes a line
    string(REGEX REPLACE "((0x..,)(0x..,)?(0x..,)?(0x..,)?(0x..,)?(0x..,)?(0x..,)?(0x..,)?)"
           "    \\1\n" bytes "${bytes}")
    string(APPEND arrays "static const char recipe_${i}[] = {\n${bytes}    0};\n\n")
    string(APPEND rows "    {\"${name}\", recipe_${i}},\n")
    list(APPEND names ${name})
    math(EXPR i "${i} + 1")
endforeach()
list(JOIN names ", " names)

file(WRITE ${OUT} "/* Made by embed_recipes.cmake from src/sae/recipes. */
#include \"sae/recipes.h\"

#include <stddef.h>
#include <string.h>

${arrays}static const struct {
    const char *name, *text;
} recipes[] = {
${rows}};

const char *fc_recipe_text(const char *name)
{
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++)
        if (strcmp(recipes[i].name, name) == 0) return recipes[i].text;
    return NULL;
}

const char *fc_recipe_names(void)
{
    return \"${names}\";
}
")
