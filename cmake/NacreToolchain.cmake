# Options, compiler flags and the compiler cache, common to every target.

option(NACRE_BUILD_COMPILER "Build the compiler (needs LLVM/MLIR 22); OFF builds the runtime alone" ON)
option(NACRE_BUILD_TESTS "Build the tests" ON)
option(NACRE_BUILD_PYTHON "Build the Python module" ON)
option(NACRE_BUILD_FUZZERS "Build the libFuzzer targets of test/fuzz (Clang alone)" OFF)
set(NACRE_SANITIZE "" CACHE STRING "Sanitizers for our own code, as -fsanitize= takes them")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

add_compile_options(-Wall -Wextra -Wno-unused-parameter)
# Reproducible objects: no absolute source path in any of them.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
if(NACRE_SANITIZE)
  add_compile_options(-fsanitize=${NACRE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${NACRE_SANITIZE})
endif()
if(NACRE_SANITIZE MATCHES "address")
  # LLVM's containers and casts check themselves by assertions, where the sanitizer cannot:
  # much of what they point to is in slabs of LLVM's, which are not instrumented.
  add_compile_options(-UNDEBUG)
endif()
if(NACRE_BUILD_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(-fuse-ld=lld)
  # A precompiled header must not carry a time stamp, or ccache never hits.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
endif()

find_program(NACRE_CCACHE ccache)
if(NACRE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${NACRE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${NACRE_CCACHE})
endif()
