# SPDX-License-Identifier: Apache-2.0
#
# The libraries of Debian 12 that rooms may link, under one short name each.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# fieldsync_library(NAME MODULE): target NAME for the pkg-config module MODULE.
function(fieldsync_library name module)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
    add_library(external_${name} INTERFACE)
    target_link_libraries(external_${name} INTERFACE PkgConfig::${name})
endfunction()

fieldsync_library(sodium libsodium)
fieldsync_library(zlib zlib)
fieldsync_library(msgpack msgpack)
fieldsync_library(sqlite sqlite3)
fieldsync_library(websockets libwebsockets)
fieldsync_library(inih inih)
fieldsync_library(cmocka cmocka)

find_library(EV_LIBRARY ev REQUIRED) # Debian's libev-dev has no .pc file
find_path(EV_INCLUDE_DIRECTORY ev.h REQUIRED)
add_library(external_ev INTERFACE)
target_link_libraries(external_ev INTERFACE ${EV_LIBRARY})
target_include_directories(external_ev SYSTEM INTERFACE ${EV_INCLUDE_DIRECTORY})

add_library(external_threads INTERFACE)
target_link_libraries(external_threads INTERFACE Threads::Threads)
