# SPDX-License-Identifier: Apache-2.0
#
# How a room, a program and a test program become targets.

# fieldsync_sources(RET FOLDER...): the .c files of the folders, without main.c.
function(fieldsync_sources ret)
    set(sources)
    foreach(folder IN LISTS ARGN)
        file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
        list(APPEND sources ${found})
    endforeach()
    list(FILTER sources EXCLUDE REGEX "/main\\.c$")
    set(${ret} ${sources} PARENT_SCOPE)
endfunction()

# Short names of libraries are the external_* targets, all others are rooms.
function(fieldsync_targets ret)
    set(targets)
    foreach(name IN LISTS ARGN)
        if(TARGET external_${name})
            list(APPEND targets external_${name})
        else()
            list(APPEND targets ${name})
        endif()
    endforeach()
    set(${ret} ${targets} PARENT_SCOPE)
endfunction()

# fieldsync_room(NAME [FOLDER...] [SOURCES file...] [LINK room or library...])
function(fieldsync_room name)
    cmake_parse_arguments(PARSE_ARGV 1 room "" "" "SOURCES;LINK")
    fieldsync_sources(sources ${room_UNPARSED_ARGUMENTS})
    list(APPEND sources ${room_SOURCES})
    fieldsync_targets(targets ${room_LINK})
    if(sources)
        add_library(${name} STATIC ${sources})
        target_link_libraries(${name} PUBLIC ${targets} PRIVATE fieldsync_options)
        target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
    else()
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE ${targets})
        target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR})
    endif()
endfunction()

# fieldsync_program(NAME FOLDER [LINK ...]): FOLDER/main.c and what lies beside it, as soon as there is
# a main.c; the fuzz build has no programs.
function(fieldsync_program name folder)
    cmake_parse_arguments(PARSE_ARGV 2 program "" "" "LINK")
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
    if(NOT "${CMAKE_SOURCE_DIR}/${folder}/main.c" IN_LIST sources OR FIELDSYNC_SANITIZE STREQUAL "fuzz")
        return()
    endif()
    fieldsync_targets(targets ${program_LINK})
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE fieldsync_options ${targets})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()

# fieldsync_test(NAME SOURCE LINK room...): a cmocka program and its ctest of the same name.
# NAME has the form unit/domain/money; the program is <build>/tests/unit/domain/money.
function(fieldsync_test name source)
    cmake_parse_arguments(PARSE_ARGV 2 test "" "" "LINK")
    string(REPLACE "/" "_" target ${name})
    get_filename_component(folder ${name} DIRECTORY)
    get_filename_component(file ${name} NAME)
    fieldsync_targets(targets ${test_LINK})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE fieldsync_options ${targets} base external_cmocka)
    if(FIELDSYNC_SANITIZE STREQUAL "address")
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:fast_sqlite>)
    endif()
    target_compile_definitions(${target} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                               VECTORS_DIR="${CMAKE_SOURCE_DIR}/tests/vectors")
    set_target_properties(${target} PROPERTIES
                          OUTPUT_NAME ${file}
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/${folder})
    add_test(NAME ${name} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()
