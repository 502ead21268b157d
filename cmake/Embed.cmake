# SPDX-License-Identifier: Apache-2.0
#
# Files that the programs carry inside: SQL migrations, compression dictionaries, data of the demo.

# fieldsync_embed(NAME): library NAME with embedded_files.h; made anew when one of the files changes.
function(fieldsync_embed name)
    file(GLOB migrations CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schema/migrations/*.sql)
    file(GLOB dictionaries CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schema/*.dict)
    file(GLOB demo CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schema/demo/*.sql)
    set(script ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake)
    set(output ${CMAKE_BINARY_DIR}/embedded/embedded_files.c)
    add_custom_command(
        OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} "-DOUTPUT=${output}" "-DMIGRATIONS=${migrations}"
                "-DDICTIONARIES=${dictionaries}" "-DDEMO=${demo}" -P ${script}
        DEPENDS ${script} ${migrations} ${dictionaries} ${demo}
        COMMENT "Embedding migrations, dictionaries and demo data"
        VERBATIM)
    configure_file(${CMAKE_SOURCE_DIR}/cmake/embedded_files.h
                   ${CMAKE_BINARY_DIR}/embedded/embedded_files.h COPYONLY)
    add_library(${name} STATIC ${output})
    target_include_directories(${name} PUBLIC ${CMAKE_BINARY_DIR}/embedded)
    target_link_libraries(${name} PRIVATE fieldsync_options)
endfunction()
