# SPDX-License-Identifier: Apache-2.0
#
# Compiler settings of our own code: language, warnings, hardening, sanitizers.

set(FIELDSYNC_SANITIZE "none" CACHE STRING "none, address, thread or fuzz")
set_property(CACHE FIELDSYNC_SANITIZE PROPERTY STRINGS none address thread fuzz)
option(FIELDSYNC_HARDEN "Stack protector, fortified libc calls, PIE, read-only relocations" OFF)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# `fieldsync_options` carries everything; each of our targets links it, nothing else does.
add_library(fieldsync_options INTERFACE)
target_include_directories(fieldsync_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(fieldsync_options INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wformat=2 -Werror)

# Reports show `base/arena.c:12` wherever the tree lies, and builds can be compared byte for byte.
target_compile_options(fieldsync_options INTERFACE "-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=")

if(FIELDSYNC_HARDEN)
    target_compile_options(fieldsync_options INTERFACE -fstack-protector-strong
                           -D_FORTIFY_SOURCE=2)
    target_link_options(fieldsync_options INTERFACE -Wl,-z,relro -Wl,-z,now)
endif()

if(FIELDSYNC_SANITIZE STREQUAL "address")
    set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(FIELDSYNC_SANITIZE STREQUAL "thread")
    set(sanitizers -fsanitize=thread)
elseif(FIELDSYNC_SANITIZE STREQUAL "fuzz")
    set(sanitizers -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
elseif(NOT FIELDSYNC_SANITIZE STREQUAL "none")
    message(FATAL_ERROR "FIELDSYNC_SANITIZE=${FIELDSYNC_SANITIZE}: none, address, thread or fuzz")
endif()
if(DEFINED sanitizers)
    target_compile_options(fieldsync_options INTERFACE ${sanitizers} -fno-omit-frame-pointer)
    target_link_options(fieldsync_options INTERFACE ${sanitizers})
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        # Instrumented code makes gcc see reads that aren't there (poisoning fresh memory is one);
        # the release build of the same files keeps the warning.
        target_compile_options(fieldsync_options INTERFACE -Wno-maybe-uninitialized)
    endif()
endif()
