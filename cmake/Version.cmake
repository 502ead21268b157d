# SPDX-License-Identifier: Apache-2.0
#
# version.h in the build folder: FIELDSYNC_VERSION is "0.1.0+1a2b3c4", or "0.1.0" outside a clone.

set(FIELDSYNC_VERSION_TEXT ${PROJECT_VERSION})
find_package(Git QUIET)
if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${CMAKE_SOURCE_DIR} rev-parse --short HEAD
                    OUTPUT_VARIABLE git_hash OUTPUT_STRIP_TRAILING_WHITESPACE
                    RESULT_VARIABLE git_failed ERROR_QUIET)
    if(NOT git_failed)
        string(APPEND FIELDSYNC_VERSION_TEXT "+${git_hash}")
    endif()
endif()
configure_file(${CMAKE_SOURCE_DIR}/cmake/version.h.in ${CMAKE_BINARY_DIR}/version/version.h)

# Each commit writes this log: configure again then, so that the hash never lies.
if(EXISTS ${CMAKE_SOURCE_DIR}/.git/logs/HEAD)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
                 ${CMAKE_SOURCE_DIR}/.git/logs/HEAD)
endif()

add_library(external_version INTERFACE)
target_include_directories(external_version INTERFACE ${CMAKE_BINARY_DIR}/version)
