# LLVM/MLIR from the distribution's packages, linked as shared libraries, or, into
# targets with the property NACRE_STATIC_LLVM, as archives. Never both into one process:
# type identities would double.

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

# What our libraries link: the one or the other, as the target at the end wants. Of the
# archives the linker takes the members that are used.
add_library(NacreLLVM INTERFACE)
file(GLOB llvm_archives ${LLVM_LIBRARY_DIR}/libMLIR*.a ${LLVM_LIBRARY_DIR}/libLLVM*.a)
set(static "$<BOOL:$<TARGET_PROPERTY:NACRE_STATIC_LLVM>>")
foreach(archive ${llvm_archives})
  target_link_libraries(NacreLLVM INTERFACE $<${static}:${archive}>)
endforeach()
foreach(library MLIR LLVM)
  target_link_libraries(NacreLLVM INTERFACE $<$<NOT:${static}>:${library}>)
endforeach()

# nacre_make_self_contained(TARGET): a part of the Python wheel, made on demand (target
# nacre-wheel), with what not every Linux has inside. (But for Protobuf, whose archive is
# not made for shared libraries: its library is put beside.)
#
# lld is made to link for every target, and on bitcode, with Polly; there is only object code
# for two here. So the others' entry points are defined to do nothing, which leaves them out.
set(left_out ${PROJECT_BINARY_DIR}/wheel/left_out.c)
set(left_out_text "/* Entry points of LLVM's targets, and of Polly, that the wheel has not. */\n")
foreach(llvm_target ${LLVM_TARGETS_TO_BUILD})
  if(NOT llvm_target MATCHES "^(X86|AArch64)$")
    foreach(part TargetInfo Target TargetMC AsmPrinter AsmParser Disassembler)
      string(APPEND left_out_text "void LLVMInitialize${llvm_target}${part}(void) {}\n")
    endforeach()
  endif()
endforeach()
string(APPEND left_out_text "void _Z18getPollyPluginInfov(void) {}\n")
file(CONFIGURE OUTPUT ${left_out} CONTENT "${left_out_text}" @ONLY)
set(NACRE_WHEEL_DIR ${PROJECT_BINARY_DIR}/wheel/nacre)
add_custom_target(nacre-wheel)
function(nacre_make_self_contained target)
  set_target_properties(${target} PROPERTIES NACRE_STATIC_LLVM ON EXCLUDE_FROM_ALL ON
    LIBRARY_OUTPUT_DIRECTORY ${NACRE_WHEEL_DIR}/lib RUNTIME_OUTPUT_DIRECTORY ${NACRE_WHEEL_DIR}/bin)
  target_link_options(${target} PRIVATE LINKER:--exclude-libs,ALL LINKER:--strip-all LINKER:--gc-sections)
  target_sources(${target} PRIVATE ${left_out})
  add_dependencies(nacre-wheel ${target})
endfunction()

# nacre_add_mlir_library(NAME [LINK targets...] [DEPENDS targets...])
# A static library of every .cpp in the current folder that may include MLIR.
function(nacre_add_mlir_library name)
  cmake_parse_arguments(ARG "NO_PCH" "" "LINK;DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  add_library(${name} STATIC ${sources})
  if(NOT ARG_NO_PCH)
    target_precompile_headers(${name} REUSE_FROM NacrePCH)
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_LINK} NacreLLVM)
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
