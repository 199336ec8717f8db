# LLVM/MLIR from the distribution's packages, linked as shared libraries.
# Never mix the static MLIR archives with libMLIR.so: type identities would double.

find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
set(MLIR_LINK_MLIR_DYLIB ON)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
add_definitions(${LLVM_DEFINITIONS})
set(MLIR_BINARY_DIR ${PROJECT_BINARY_DIR}) # add_mlir_doc writes below it

# The compiler's own time is spent in LLVM's libraries: optimising our side of it hard
# doubles the build and gains nothing measurable. (The runtime keeps -O3.)
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")

# One precompiled header for all code that sees MLIR: parsing MLIR's headers is
# nearly all of the compile time.
add_library(NacrePCH OBJECT ${PROJECT_SOURCE_DIR}/cmake/Precompiled.cpp)
target_precompile_headers(NacrePCH PRIVATE ${PROJECT_SOURCE_DIR}/cmake/Precompiled.h)

# nacre_add_mlir_library(NAME [LINK targets...] [DEPENDS targets...])
# A static library of every .cpp in the current folder that may include MLIR.
function(nacre_add_mlir_library name)
  cmake_parse_arguments(ARG "NO_PCH" "" "LINK;DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  add_library(${name} STATIC ${sources})
  if(NOT ARG_NO_PCH)
    target_precompile_headers(${name} REUSE_FROM NacrePCH)
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  add_dependencies(${name} nacre-tablegen ${ARG_DEPENDS})
endfunction()

# Everything that TableGen makes; each dialect and pass folder adds to it.
add_custom_target(nacre-tablegen)
function(nacre_tablegen target td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  set(TABLEGEN_OUTPUT)
  cmake_parse_arguments(ARG "" "" "OUT" ${ARGN})
  foreach(pair ${ARG_OUT})
    string(REPLACE "|" ";" pair "${pair}")
    list(POP_FRONT pair file)
    mlir_tablegen(${file} ${pair} EXTRA_INCLUDES ${PROJECT_SOURCE_DIR})
  endforeach()
  add_custom_target(${target} DEPENDS ${TABLEGEN_OUTPUT})
  add_dependencies(nacre-tablegen ${target})
endfunction()
