# SPDX-License-Identifier: Apache-2.0
#
# cmake -DOUTPUT=file.c -DMIGRATIONS=a;b -DDICTIONARIES=c -DDEMO=d -P embed_files.cmake
# Writes the C arrays that embedded_files.h declares.

set(code "/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by cmake/embed_files.cmake. */\n")
string(APPEND code "#include \"embedded_files.h\"\n\n")

# Adds one byte array a file and the table of them, sorted by file name.
function(embed prefix table count_name)
    list(SORT ARGN COMPARE FILE_BASENAME)
    set(arrays)
    set(rows)
    set(count 0)
    foreach(path IN LISTS ARGN)
        get_filename_component(name ${path} NAME)
        file(SIZE ${path} size)
        file(READ ${path} hex HEX)
        string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
        string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
        string(APPEND arrays "static const unsigned char ${prefix}_${count}[] = {\n${hex}0x00};\n")
        string(APPEND rows "    {\"${name}\", ${prefix}_${count}, ${size}},\n")
        math(EXPR count "${count} + 1")
    endforeach()
    string(APPEND code "${arrays}const struct embedded_file ${table}[] = {\n${rows}")
    string(APPEND code "    {0},\n};\nconst size_t ${count_name} = ${count};\n\n")
    set(code "${code}" PARENT_SCOPE)
endfunction()

embed(MIGRATION EMBEDDED_MIGRATIONS EMBEDDED_MIGRATION_COUNT ${MIGRATIONS})
embed(DICTIONARY EMBEDDED_DICTIONARIES EMBEDDED_DICTIONARY_COUNT ${DICTIONARIES})
embed(DEMO EMBEDDED_DEMO EMBEDDED_DEMO_COUNT ${DEMO})
file(WRITE ${OUTPUT} "${code}")
